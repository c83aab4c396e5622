// Receives a webhook and verifies it with the reference library of Standard Webhooks.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { components, paths, webhooks } from "./duologue.js";

type FeedEvent =
  webhooks["subscription_event"]["post"]["requestBody"]["content"]["application/json"];
type Received = { headers: Record<string, string>; body: string };

const { DUOLOGUE_URL, DUOLOGUE_KEY } = process.env;
assert(DUOLOGUE_URL && DUOLOGUE_KEY, "DUOLOGUE_URL and DUOLOGUE_KEY must be set");

const client = createClient<paths>({
  baseUrl: DUOLOGUE_URL,
  headers: { Authorization: `Bearer ${DUOLOGUE_KEY}` },
});
const received: Received[] = [];

function text(headers: IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  return Object.fromEntries(entries);
}

const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  received.push({ headers: text(request.headers), body });
  response.writeHead(204).end();
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = server.address();
assert(address && typeof address === "object");
const url = `http://127.0.0.1:${address.port}/events`;
const params = { path: { name: "typescript-webhooks" } };

/** Creates the subscription or changes it; returns the secret, if one was made. */
async function subscribe(settings: components["schemas"]["SubscriptionInput"]) {
  const body = { url, ...settings };
  const { data, error } = await client.PUT("/subscriptions/{name}", { params, body });
  assert(data, JSON.stringify(error));
  return data.secret;
}

/** Sends a message and waits for its event. */
async function receive(body: string): Promise<Received> {
  const message = { from: "alice-webhooks-ts", to: "bob-webhooks-ts", body };
  const { error } = await client.POST("/messages", { body: message });
  assert(!error, JSON.stringify(error));
  for (let tries = 0; tries < 300; tries++) {
    const next = received.shift();
    if (next) {
      const event = JSON.parse(next.body) as FeedEvent;
      assert(event.type === "message.created");
      assert.equal(event.data.message.body, body);
      assert.equal(event.id, next.headers["webhook-id"]);
      return next;
    }
    await setTimeout(100);
  }
  throw new Error("no event in 30 seconds");
}

function verifies(secret: string, { headers, body }: Received): boolean {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch (error) {
    assert(error instanceof WebhookVerificationError);
    return false;
  }
}

const first = await subscribe({ types: ["message.created"] });
assert(first);
const event = await receive("Verified");
assert(verifies(first, event));
assert(!verifies(first, { ...event, body: event.body.replace("Verified", "verified") }));

const second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
assert.equal(await subscribe({ types: ["message.created"], secret: second }), undefined);
// The new secret is used within a second or two.
let rotated = await receive("Rotated");
for (let tries = 0; tries < 30 && !verifies(second, rotated); tries++) {
  await setTimeout(500);
  rotated = await receive("Rotated");
}
assert(verifies(first, rotated) && verifies(second, rotated));
await client.DELETE("/subscriptions/{name}", { params });
server.close();
server.closeAllConnections();
console.log("typescript: webhooks are verified");
