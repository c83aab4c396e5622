// Calls a running service with the client that openapi-generator generates.

import duologue.apis.ConversationsApi
import duologue.apis.LiveApi
import duologue.apis.MessagesApi
import duologue.infrastructure.ApiClient
import duologue.infrastructure.Serializer
import duologue.models.AttachmentInput
import duologue.models.Edit
import duologue.models.Event
import duologue.models.MessageInput
import duologue.models.Problem
import duologue.models.ProblemCode
import java.net.URI
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.JsonPrimitive
import retrofit2.Response

const val ALICE = "alice-kotlin"
const val BOB = "bob-kotlin"

// A member that is null is left out, because null in an edit removes it.
val json = Serializer.run {
    kotlinxSerializationJsonConfiguration = { explicitNulls = false }
    kotlinxSerializationJson
}
val client = ApiClient(System.getenv("DUOLOGUE_URL"), null, "bearer", System.getenv("DUOLOGUE_KEY"))
val messages = client.createService(MessagesApi::class.java)
val conversations = client.createService(ConversationsApi::class.java)
val live = client.createService(LiveApi::class.java)

/** The data of a successful answer. */
fun <T> Response<T>.data(): T = checkNotNull(body()) { errorBody()?.string() ?: "no body" }

/** The code of the problem that a request failed with. */
fun Response<*>.problemCode(): ProblemCode {
    val text = checkNotNull(errorBody()) { "not a problem: ${code()}" }.string()
    return json.decodeFromString<Problem>(text).code
}

fun equal(actual: Any?, expected: Any?) = check(actual == expected) { "expected $expected, got $actual" }

suspend fun send(body: String, key: String) = messages.sendMessage(
    MessageInput(
        from = ALICE,
        to = BOB,
        body = body,
        metadata = mapOf("mood" to JsonPrimitive("hungry")),
        attachments = listOf(
            AttachmentInput(URI("https://files.example.com/menu.jpg"), mimeType = "image/jpeg"),
        ),
    ),
    key,
).data()

suspend fun sendAndPage() {
    // Sending again with the same key stores nothing.
    val first = send("Lunch at one?", "k1")
    equal(send("Lunch at one?", "k1").id, first.id)
    send("Or at two?", "k2")
    send("Wrong window", "k3")
    equal(first.metadata, mapOf("mood" to JsonPrimitive("hungry")))
    equal(first.attachments?.single()?.mimeType, "image/jpeg")

    val newest = conversations.readConversation(BOB, ALICE, limit = 2, peek = true).data()
    equal(newest.history.map { it.seq }, listOf(3L, 2L))
    equal(newest.unreadCount, 3L)
    val oldest = conversations.readConversation(BOB, ALICE, limit = 2, before = newest.nextBefore).data()
    equal(oldest.history.map { it.body }, listOf("Lunch at one?"))
    equal(oldest.nextBefore, null)

    val inbox = conversations.listConversations(BOB).data()
    equal(inbox.totalUnreadCount, 3L)
    equal(inbox.unreadConversations, 1L)
    equal(inbox.conversations.single().peer, ALICE)
}

suspend fun change() {
    val etag = messages.readMessage(ALICE, BOB, 1).headers()["ETag"]
    val edit = Edit(body = "Lunch at two?")
    val edited = messages.editMessage(ALICE, BOB, 1, edit, etag).data()
    equal(edited.body, "Lunch at two?")
    check(edited.editedAt != null && edited.metadata != null)

    // A problem is identified by its code.
    equal(messages.editMessage(ALICE, BOB, 1, edit, etag).problemCode(), ProblemCode.PRECONDITION_FAILED)
    equal(messages.readMessage(ALICE, BOB, 99).problemCode(), ProblemCode.MESSAGE_NOT_FOUND)

    val reacted = messages.addReaction(BOB, ALICE, 1, "👍").data()
    equal(reacted.reactions, mapOf("👍" to listOf(BOB)))
    val deleted = messages.deleteMessage(ALICE, BOB, 3).data()
    check(deleted.deletedAt != null)
    conversations.readConversation(BOB, ALICE).data()
}

fun summary(event: Event): String = when (event) {
    is Event.MessagecreatedWrapper -> "message.created ${event.value.message.seq} ${event.value.message.body}"
    is Event.MessageupdatedWrapper -> "message.updated ${event.value.message.seq} ${event.value.message.body}"
    is Event.MessagedeletedWrapper -> "message.deleted ${event.value.message.seq}"
    is Event.ConversationreadWrapper -> "conversation.read ${event.value.readSeq}"
    else -> event.toString()
}

fun main() = runBlocking {
    val start = live.readEvents(BOB).data()
    sendAndPage()
    change()
    val page = live.readEvents(BOB, cursor = start.nextCursor).data()
    equal(
        page.events.map(::summary),
        listOf(
            "message.created 1 Lunch at one?",
            "message.created 2 Or at two?",
            "message.created 3 Wrong window",
            "message.updated 1 Lunch at two?",
            "message.updated 1 Lunch at two?",
            "message.deleted 3",
            "conversation.read 3",
        ),
    )
}
