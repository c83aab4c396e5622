import duologue.ApiClient;
import duologue.ApiException;
import duologue.ApiResponse;
import duologue.api.ConversationsApi;
import duologue.api.LiveApi;
import duologue.api.MessagesApi;
import duologue.model.AttachmentInput;
import duologue.model.Conversation;
import duologue.model.ConversationRead;
import duologue.model.Edit;
import duologue.model.Event;
import duologue.model.EventPage;
import duologue.model.Inbox;
import duologue.model.Message;
import duologue.model.MessageCreated;
import duologue.model.MessageDeleted;
import duologue.model.MessageInput;
import duologue.model.MessageUpdated;
import duologue.model.Problem;
import duologue.model.ProblemCode;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Calls a running service with the client that openapi-generator generates. */
final class Roundtrip {
  private static final String ALICE = "alice-java";
  private static final String BOB = "bob-java";

  private final ApiClient client = new ApiClient();
  private final MessagesApi messages;
  private final ConversationsApi conversations;
  private final LiveApi live;

  private Roundtrip(String url, String key) {
    client.updateBaseUri(url);
    client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + key));
    messages = new MessagesApi(client);
    conversations = new ConversationsApi(client);
    live = new LiveApi(client);
  }

  private interface Call {
    Message call() throws ApiException;
  }

  /** The code of the problem that a call fails with. */
  private ProblemCode problemCode(Call call) throws Exception {
    try {
      throw new AssertionError("not a problem: " + call.call());
    } catch (ApiException e) {
      Problem problem = client.getObjectMapper().readValue(e.getResponseBody(), Problem.class);
      return problem.getCode();
    }
  }

  private static void equal(Object actual, Object expected) {
    if (!Objects.equals(actual, expected)) {
      throw new AssertionError("expected " + expected + ", got " + actual);
    }
  }

  private Message send(String body, String key) throws ApiException {
    AttachmentInput attachment =
        new AttachmentInput()
            .url(java.net.URI.create("https://files.example.com/menu.jpg"))
            .mimeType("image/jpeg");
    MessageInput input =
        new MessageInput()
            .from(ALICE)
            .to(BOB)
            .body(body)
            .metadata(Map.of("mood", "hungry"))
            .attachments(List.of(attachment));
    return messages.sendMessage(input, key);
  }

  private Conversation page(Integer limit, Long before, Boolean peek) throws ApiException {
    return conversations.readConversation(
        BOB, ALICE, limit, null, before, null, null, null, peek);
  }

  private static String summary(Event event) {
    Object actual = event.getActualInstance();
    if (actual instanceof MessageCreated created) {
      Message message = created.getMessage();
      return "message.created " + message.getSeq() + " " + message.getBody();
    }
    if (actual instanceof MessageUpdated updated) {
      Message message = updated.getMessage();
      return "message.updated " + message.getSeq() + " " + message.getBody();
    }
    if (actual instanceof MessageDeleted deleted) {
      return "message.deleted " + deleted.getMessage().getSeq();
    }
    if (actual instanceof ConversationRead read) {
      return "conversation.read " + read.getReadSeq();
    }
    return actual.getClass().getSimpleName();
  }

  private void sendAndPage() throws ApiException {
    // Sending again with the same key stores nothing.
    Message first = send("Lunch at one?", "k1");
    equal(send("Lunch at one?", "k1").getId(), first.getId());
    send("Or at two?", "k2");
    send("Wrong window", "k3");
    equal(first.getMetadata(), Map.of("mood", "hungry"));
    equal(first.getAttachments().get(0).getMimeType(), "image/jpeg");

    Conversation newest = page(2, null, true);
    equal(newest.getHistory().stream().map(Message::getSeq).toList(), List.of(3L, 2L));
    equal(newest.getUnreadCount(), 3L);
    Conversation oldest = page(2, newest.getNextBefore(), null);
    equal(oldest.getHistory().stream().map(Message::getSeq).toList(), List.of(1L));
    equal(oldest.getNextBefore(), null);

    Inbox inbox = conversations.listConversations(BOB, null, null, null, null);
    equal(inbox.getTotalUnreadCount(), 3L);
    equal(inbox.getUnreadConversations(), 1L);
    equal(inbox.getConversations().get(0).getPeer(), ALICE);
  }

  private void change() throws Exception {
    ApiResponse<Message> read = messages.readMessageWithHttpInfo(ALICE, BOB, 1L);
    String etag = read.getHeaders().get("etag").get(0);
    Edit edit = new Edit().body("Lunch at two?");
    Message edited = messages.editMessage(ALICE, BOB, 1L, edit, etag);
    equal(edited.getBody(), "Lunch at two?");
    equal(edited.getEditedAt() != null, true);
    equal(edited.getMetadata(), Map.of("mood", "hungry"));

    // A problem is identified by its code.
    equal(
        problemCode(() -> messages.editMessage(ALICE, BOB, 1L, edit, etag)),
        ProblemCode.PRECONDITION_FAILED);
    equal(problemCode(() -> messages.readMessage(ALICE, BOB, 99L)), ProblemCode.MESSAGE_NOT_FOUND);

    Message reacted = messages.addReaction(BOB, ALICE, 1L, "👍", null);
    equal(reacted.getReactions(), Map.of("👍", List.of(BOB)));
    Message deleted = messages.deleteMessage(ALICE, BOB, 3L, null);
    equal(deleted.getDeletedAt() != null, true);
    page(1, null, null);
  }

  private EventPage poll(String cursor) throws ApiException {
    return live.readEvents(BOB, cursor, null, null, null);
  }

  public static void main(String[] arguments) throws Exception {
    Roundtrip roundtrip =
        new Roundtrip(System.getenv("DUOLOGUE_URL"), System.getenv("DUOLOGUE_KEY"));
    EventPage start = roundtrip.poll(null);
    roundtrip.sendAndPage();
    roundtrip.change();
    List<Event> events = roundtrip.poll(start.getNextCursor()).getEvents();
    equal(
        events.stream().map(Roundtrip::summary).toList(),
        List.of(
            "message.created 1 Lunch at one?",
            "message.created 2 Or at two?",
            "message.created 3 Wrong window",
            "message.updated 1 Lunch at two?",
            "message.updated 1 Lunch at two?",
            "message.deleted 3",
            "conversation.read 3"));
  }
}
