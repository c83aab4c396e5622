// Calls a running service with the client that openapi-typescript and openapi-fetch generate.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./duologue.js";

type Event = components["schemas"]["Event"];

const { DUOLOGUE_URL, DUOLOGUE_KEY } = process.env;
assert(DUOLOGUE_URL && DUOLOGUE_KEY, "DUOLOGUE_URL and DUOLOGUE_KEY must be set");

const client = createClient<paths>({
  baseUrl: DUOLOGUE_URL,
  headers: { Authorization: `Bearer ${DUOLOGUE_KEY}` },
});
const alice = "alice-typescript";
const bob = "bob-typescript";

/** The data of a successful answer. */
async function ok<T>(answer: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await answer;
  assert(data !== undefined, JSON.stringify(error));
  return data;
}

async function send(body: string, key: string) {
  return ok(
    client.POST("/messages", {
      params: { header: { "Idempotency-Key": key } },
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

async function page(query: { limit: number; before?: number; peek?: boolean }) {
  const path = { user: bob, peer: alice };
  return ok(client.GET("/conversations/{user}/{peer}", { params: { path, query } }));
}

function summary(event: Event): string {
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

const start = await ok(client.GET("/events", { params: { query: { user: bob } } }));

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

const inbox = await ok(
  client.GET("/conversations/{user}", { params: { path: { user: bob } } }),
);
assert.equal(inbox.total_unread_count, 3);
assert.equal(inbox.unread_conversations, 1);
assert.equal(inbox.conversations[0]?.last_message?.body, "Wrong window");

const message = "/conversations/{user}/{peer}/messages/{seq}";
const path = { user: alice, peer: bob, seq: 1 };
const read = await client.GET(message, { params: { path } });
const etag = read.response.headers.get("ETag");
assert(etag !== null);
const edit = { params: { path, header: { "If-Match": etag } }, body: { body: "Lunch at two?" } };
const edited = await ok(client.PATCH(message, edit));
assert.equal(edited.body, "Lunch at two?");
assert(edited.edited_at !== undefined);
assert.deepEqual(edited.metadata, { mood: "hungry" });

// A problem is identified by its code.
const { error: stale } = await client.PATCH(message, edit);
assert.equal(stale?.code, "PRECONDITION_FAILED");
const missing = await client.GET(message, { params: { path: { ...path, seq: 99 } } });
assert.equal(missing.error?.code, "MESSAGE_NOT_FOUND");

const reacted = await ok(
  client.PUT("/conversations/{user}/{peer}/messages/{seq}/reactions/{emoji}", {
    params: { path: { user: bob, peer: alice, seq: 1, emoji: "👍" } },
  }),
);
assert.deepEqual(reacted.reactions?.["👍"], [bob]);
const deleted = await ok(client.DELETE(message, { params: { path: { ...path, seq: 3 } } }));
assert(deleted.deleted_at !== undefined);
await page({ limit: 1 });

const { events } = await ok(
  client.GET("/events", { params: { query: { user: bob, cursor: start.next_cursor } } }),
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
