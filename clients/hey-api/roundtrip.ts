// Calls a running service with the client that hey-api generates.
import assert from "node:assert/strict";
import { client } from "./duologue/client.gen.js";
import * as duologue from "./duologue/index.js";

const { DUOLOGUE_URL, DUOLOGUE_KEY } = process.env;
assert(DUOLOGUE_URL && DUOLOGUE_KEY, "DUOLOGUE_URL and DUOLOGUE_KEY must be set");

client.setConfig({ baseUrl: DUOLOGUE_URL, auth: DUOLOGUE_KEY });
const alice = "alice-hey-api";
const bob = "bob-hey-api";

/** The data of a successful answer. */
async function ok<T>(answer: Promise<{ data: T; error: unknown }>): Promise<NonNullable<T>> {
  const { data, error } = await answer;
  assert(data !== undefined && data !== null, JSON.stringify(error));
  return data;
}

function send(body: string, key: string) {
  return ok(
    duologue.sendMessage({
      headers: { "Idempotency-Key": key },
      body: {
        from: alice,
        to: bob,
        body,
        metadata: { mood: "hungry" },
        attachments: [{ url: "https://files.example.com/menu.jpg", mime_type: "image/jpeg" }],
      },
    }),
  );
}

function page(query: { limit: number; before?: number; peek?: boolean }) {
  return ok(duologue.readConversation({ path: { user: bob, peer: alice }, query }));
}

function summary(event: duologue.Event): string {
  switch (event.type) {
    case "message.created":
    case "message.updated":
      return `${event.type} ${event.message.seq} ${event.message.body}`;
    case "message.deleted":
      return `${event.type} ${event.message.seq} ${event.message.deleted_at !== undefined}`;
    case "conversation.read":
      return `${event.type} ${event.read_seq}`;
    default:
      return event.type;
  }
}

const start = await ok(duologue.readEvents({ query: { user: bob } }));

// Sending again with the same key stores nothing.
const first = await send("Lunch at one?", "k1");
assert.equal((await send("Lunch at one?", "k1")).id, first.id);
await send("Or at two?", "k2");
await send("Wrong window", "k3");
assert.deepEqual(first.metadata, { mood: "hungry" });
assert.equal(first.attachments?.[0]?.mime_type, "image/jpeg");

const newest = await page({ limit: 2, peek: true });
assert.deepEqual(newest.history.map((message) => message.seq), [3, 2]);
assert.equal(newest.unread_count, 3);
assert(newest.next_before !== null);
const oldest = await page({ limit: 2, before: newest.next_before });
assert.deepEqual(oldest.history.map((message) => message.body), ["Lunch at one?"]);
assert.equal(oldest.next_before, null);

const inbox = await ok(duologue.listConversations({ path: { user: bob } }));
assert.equal(inbox.total_unread_count, 3);
assert.equal(inbox.unread_conversations, 1);
assert.equal(inbox.conversations[0]?.last_message?.body, "Wrong window");

const path = { user: alice, peer: bob, seq: 1 };
const read = await duologue.readMessage({ path });
const etag = read.response?.headers.get("ETag");
assert(etag);
const edit = { path, headers: { "If-Match": etag }, body: { body: "Lunch at two?" } };
const edited = await ok(duologue.editMessage(edit));
assert.equal(edited.body, "Lunch at two?");
assert(edited.edited_at !== undefined);
assert.deepEqual(edited.metadata, { mood: "hungry" });

// A problem is identified by its code.
const { error: stale } = await duologue.editMessage(edit);
assert.equal(stale?.code, "PRECONDITION_FAILED");
const missing = await duologue.readMessage({ path: { ...path, seq: 99 } });
assert.equal(missing.error?.code, "MESSAGE_NOT_FOUND");

const reacted = await ok(
  duologue.addReaction({ path: { user: bob, peer: alice, seq: 1, emoji: "👍" } }),
);
assert.deepEqual(reacted.reactions?.["👍"], [bob]);
const deleted = await ok(duologue.deleteMessage({ path: { ...path, seq: 3 } }));
assert(deleted.deleted_at !== undefined);
await page({ limit: 1 });

const { events } = await ok(
  duologue.readEvents({ query: { user: bob, cursor: start.next_cursor } }),
);
assert.deepEqual(events.map(summary), [
  "message.created 1 Lunch at one?",
  "message.created 2 Or at two?",
  "message.created 3 Wrong window",
  "message.updated 1 Lunch at two?",
  "message.updated 1 Lunch at two?",
  "message.deleted 3 true",
  "conversation.read 3",
]);
