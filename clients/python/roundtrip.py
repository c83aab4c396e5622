"""Calls a running service with the client that openapi-python-client generates."""

import os

from duologue import AuthenticatedClient
from duologue.api.conversations import list_conversations, read_conversation
from duologue.api.live import read_events
from duologue.api.messages import (
    add_reaction,
    delete_message,
    edit_message,
    read_message,
    send_message,
)
from duologue.models.attachment_input import AttachmentInput
from duologue.models.conversation import Conversation
from duologue.models.conversation_read import ConversationRead
from duologue.models.edit import Edit
from duologue.models.event_page import EventPage
from duologue.models.inbox import Inbox
from duologue.models.message import Message
from duologue.models.message_created import MessageCreated
from duologue.models.message_deleted import MessageDeleted
from duologue.models.message_input import MessageInput
from duologue.models.message_updated import MessageUpdated
from duologue.models.metadata import Metadata
from duologue.models.problem import Problem
from duologue.models.problem_code import ProblemCode
from duologue.types import UNSET

ALICE = "alice-python"
BOB = "bob-python"
CLIENT = AuthenticatedClient(os.environ["DUOLOGUE_URL"], token=os.environ["DUOLOGUE_KEY"])


def send(body: str, key: str) -> Message:
    attachment = AttachmentInput("https://files.example.com/menu.jpg", mime_type="image/jpeg")
    input = MessageInput(
        from_=ALICE,
        to=BOB,
        body=body,
        metadata=Metadata.from_dict({"mood": "hungry"}),
        attachments=[attachment],
    )
    message = send_message.sync(client=CLIENT, body=input, idempotency_key=key)
    assert isinstance(message, Message), message
    return message


def poll(cursor: str | None = None) -> EventPage:
    page = read_events.sync(client=CLIENT, user=BOB, cursor=cursor or UNSET)
    assert isinstance(page, EventPage), page
    return page


def summary(event: object) -> str:
    if isinstance(event, MessageCreated | MessageUpdated):
        return f"{event.type_.value} {event.message.seq} {event.message.body}"
    if isinstance(event, MessageDeleted):
        return f"{event.type_.value} {event.message.seq}"
    if isinstance(event, ConversationRead):
        return f"{event.type_.value} {event.read_seq}"
    return type(event).__name__


def send_and_page() -> None:
    # Sending again with the same key stores nothing.
    first = send("Lunch at one?", "k1")
    assert send("Lunch at one?", "k1").id == first.id
    send("Or at two?", "k2")
    send("Wrong window", "k3")
    assert isinstance(first.metadata, Metadata) and first.metadata["mood"] == "hungry"
    assert first.attachments and first.attachments[0].mime_type == "image/jpeg"

    newest = read_conversation.sync(BOB, ALICE, client=CLIENT, limit=2, peek=True)
    assert isinstance(newest, Conversation), newest
    assert [message.seq for message in newest.history] == [3, 2]
    assert newest.unread_count == 3
    assert newest.next_before is not None
    oldest = read_conversation.sync(BOB, ALICE, client=CLIENT, before=newest.next_before)
    assert isinstance(oldest, Conversation), oldest
    assert [message.body for message in oldest.history] == ["Lunch at one?"]
    assert oldest.next_before is None

    inbox = list_conversations.sync(BOB, client=CLIENT)
    assert isinstance(inbox, Inbox), inbox
    assert inbox.total_unread_count == 3
    assert inbox.unread_conversations == 1
    assert inbox.conversations[0].peer == ALICE


def change() -> None:
    etag = read_message.sync_detailed(ALICE, BOB, 1, client=CLIENT).headers["ETag"]
    edit = Edit(body="Lunch at two?")
    edited = edit_message.sync(ALICE, BOB, 1, client=CLIENT, body=edit, if_match=etag)
    assert isinstance(edited, Message), edited
    assert edited.body == "Lunch at two?" and edited.edited_at
    assert isinstance(edited.metadata, Metadata)

    # A problem is identified by its code.
    stale = edit_message.sync(ALICE, BOB, 1, client=CLIENT, body=edit, if_match=etag)
    assert isinstance(stale, Problem) and stale.code is ProblemCode.PRECONDITION_FAILED, stale
    missing = read_message.sync(ALICE, BOB, 99, client=CLIENT)
    assert isinstance(missing, Problem) and missing.code is ProblemCode.MESSAGE_NOT_FOUND, missing

    reacted = add_reaction.sync(BOB, ALICE, 1, "👍", client=CLIENT)
    assert isinstance(reacted, Message) and reacted.reactions, reacted
    assert reacted.reactions["👍"] == [BOB]
    deleted = delete_message.sync(ALICE, BOB, 3, client=CLIENT)
    assert isinstance(deleted, Message) and deleted.deleted_at, deleted
    read_conversation.sync(BOB, ALICE, client=CLIENT)


start = poll()
send_and_page()
change()
assert [summary(event) for event in poll(start.next_cursor).events] == [
    "message.created 1 Lunch at one?",
    "message.created 2 Or at two?",
    "message.created 3 Wrong window",
    "message.updated 1 Lunch at two?",
    "message.updated 1 Lunch at two?",
    "message.deleted 3",
    "conversation.read 3",
]
