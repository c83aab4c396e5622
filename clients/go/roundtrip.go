// Calls a running service with the client that openapi-generator generates.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"reflect"

	"roundtrip/duologue"
)

const (
	alice = "alice-go"
	bob   = "bob-go"
)

var (
	ctx    = context.WithValue(context.Background(), duologue.ContextAccessToken, os.Getenv("DUOLOGUE_KEY"))
	client = newClient(os.Getenv("DUOLOGUE_URL"))
)

func newClient(url string) *duologue.APIClient {
	configuration := duologue.NewConfiguration()
	configuration.Servers = duologue.ServerConfigurations{{URL: url}}
	return duologue.NewAPIClient(configuration)
}

// ok returns the data of a successful answer.
func ok[T any](data *T, _ *http.Response, err error) *T {
	if err != nil {
		log.Panic(err)
	}
	return data
}

// problemCode returns the code of the problem document that a call failed with.
func problemCode[T any](_ *T, _ *http.Response, err error) duologue.ProblemCode {
	var failure *duologue.GenericOpenAPIError
	if !errors.As(err, &failure) {
		log.Panicf("not a problem: %v", err)
	}
	problem, isProblem := failure.Model().(duologue.Problem)
	if !isProblem {
		log.Panicf("not a problem: %v", err)
	}
	return problem.Code
}

func equal(actual, expected any) {
	if !reflect.DeepEqual(actual, expected) {
		log.Panicf("expected %#v, got %#v", expected, actual)
	}
}

func send(body, key string) *duologue.Message {
	attachment := duologue.NewAttachmentInput("https://files.example.com/menu.jpg")
	attachment.SetMimeType("image/jpeg")
	input := duologue.NewMessageInput(body, bob)
	input.SetFrom(alice)
	input.SetMetadata(map[string]any{"mood": "hungry"})
	input.SetAttachments([]duologue.AttachmentInput{*attachment})
	return ok(client.MessagesAPI.SendMessage(ctx).MessageInput(*input).IdempotencyKey(key).Execute())
}

func bodies(messages []duologue.Message) []string {
	all := []string{}
	for _, message := range messages {
		all = append(all, message.Body)
	}
	return all
}

func sendAndPage() {
	// Sending again with the same key stores nothing.
	first := send("Lunch at one?", "k1")
	equal(send("Lunch at one?", "k1").Id, first.Id)
	send("Or at two?", "k2")
	send("Wrong window", "k3")
	equal(first.Metadata["mood"], "hungry")
	equal(first.Attachments[0].GetMimeType(), "image/jpeg")

	read := client.ConversationsAPI.ReadConversation(ctx, bob, alice).Limit(2)
	newest := ok(read.Peek(true).Execute())
	equal(bodies(newest.History), []string{"Wrong window", "Or at two?"})
	equal(newest.UnreadCount, int64(3))
	oldest := ok(read.Before(newest.GetNextBefore()).Execute())
	equal(bodies(oldest.History), []string{"Lunch at one?"})
	equal(oldest.NextBefore.IsSet() && oldest.NextBefore.Get() == nil, true)

	inbox := ok(client.ConversationsAPI.ListConversations(ctx, bob).Execute())
	equal(inbox.TotalUnreadCount, int64(3))
	equal(inbox.UnreadConversations, int64(1))
	equal(inbox.Conversations[0].Peer, alice)
}

func change() {
	_, response, err := client.MessagesAPI.ReadMessage(ctx, alice, bob, 1).Execute()
	if err != nil {
		log.Panic(err)
	}
	change := duologue.NewEdit()
	change.SetBody("Lunch at two?")
	edit := client.MessagesAPI.EditMessage(ctx, alice, bob, 1).Edit(*change).IfMatch(response.Header.Get("ETag"))
	edited := ok(edit.Execute())
	equal(edited.Body, "Lunch at two?")
	equal(edited.HasEditedAt(), true)
	equal(edited.Metadata["mood"], "hungry")

	// A problem is identified by its code.
	equal(problemCode(edit.Execute()), duologue.PROBLEMCODE_PRECONDITION_FAILED)
	equal(problemCode(client.MessagesAPI.ReadMessage(ctx, alice, bob, 99).Execute()), duologue.PROBLEMCODE_MESSAGE_NOT_FOUND)

	reacted := ok(client.MessagesAPI.AddReaction(ctx, bob, alice, 1, "👍").Execute())
	equal(reacted.Reactions["👍"], []string{bob})
	deleted := ok(client.MessagesAPI.DeleteMessage(ctx, alice, bob, 3).Execute())
	equal(deleted.HasDeletedAt(), true)
	ok(client.ConversationsAPI.ReadConversation(ctx, bob, alice).Execute())
}

func summary(event duologue.Event) string {
	switch event := event.GetActualInstance().(type) {
	case *duologue.MessageCreated:
		return fmt.Sprint(event.Type, " ", event.Message.Seq, " ", event.Message.Body)
	case *duologue.MessageUpdated:
		return fmt.Sprint(event.Type, " ", event.Message.Seq, " ", event.Message.Body)
	case *duologue.MessageDeleted:
		return fmt.Sprint(event.Type, " ", event.Message.Seq)
	case *duologue.ConversationRead:
		return fmt.Sprint(event.Type, " ", event.ReadSeq)
	default:
		return fmt.Sprintf("%T", event)
	}
}

func main() {
	start := ok(client.LiveAPI.ReadEvents(ctx).User(bob).Execute())
	sendAndPage()
	change()
	page := ok(client.LiveAPI.ReadEvents(ctx).User(bob).Cursor(start.NextCursor).Execute())
	summaries := []string{}
	for _, event := range page.Events {
		summaries = append(summaries, summary(event))
	}
	equal(summaries, []string{
		"message.created 1 Lunch at one?",
		"message.created 2 Or at two?",
		"message.created 3 Wrong window",
		"message.updated 1 Lunch at two?",
		"message.updated 1 Lunch at two?",
		"message.deleted 3",
		"conversation.read 3",
	})
}
