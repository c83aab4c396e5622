/**
 * Sending: messages, receipts, typing, changes of messages.
 *
 * @module messenger/writing
 */

import { isRoom } from "../duologue.js";
import { $, showError } from "./dom.js";
import { conversationPath } from "./reading.js";
import { addMessage, changed, client, state } from "./state.js";

const TYPING_INTERVAL_MS = 2000;

/** Keeps the outbox when the tab is reloaded. */
export const storage = {
  load: (user) => JSON.parse(sessionStorage.getItem(`outbox ${user}`)) ?? [],
  save: (user, items) => sessionStorage.setItem(`outbox ${user}`, JSON.stringify(items)),
};

export function onSent(message, item) {
  addMessage(item.to, message);
  changed();
}

/** Puts a refused text back into the composer, or into the draft. */
export function onRefused(error, item) {
  showError(`Not sent: ${error.message}`);
  if (item.to === state.openPeer) $("text").value = `${item.body}\n${$("text").value}`.trim();
  else state.drafts.set(item.to, item.body);
}

const receiptsSent = new Map(); // "read alice" -> the newest `seq` that was reported

/** Reports all receipts again, because they may have been lost with the previous connection. */
export function forgetReceipts() {
  receiptsSent.clear();
}

/** Reports new messages once: as read if they are visible, otherwise as delivered, except in rooms. */
export function sendReceipt({ peer, isMember, unread_count, last_seq }) {
  const type = peer === state.openPeer && document.visibilityState === "visible" ? "read" : "delivered";
  const key = `${type} ${peer}`;
  if (isRoom(peer) && (!isMember || type === "delivered")) return;
  if (!unread_count || receiptsSent.get(key) >= last_seq) return;
  receiptsSent.set(key, last_seq);
  client.command(type, { peer, seq: last_seq }).catch(() => receiptsSent.delete(key));
}

let typingSentAt = 0;

export function sendTyping() {
  if (state.composing.edit || Date.now() - typingSentAt < TYPING_INTERVAL_MS) return;
  typingSentAt = Date.now();
  client.command("typing", { peer: state.openPeer }).catch(() => {});
}

/** Changes a message. All devices, including this one, receive the result as an event. */
export function changeMessage(method, seq, suffix = "", body) {
  const path = `${conversationPath(state.openPeer)}/messages/${seq}${suffix}`;
  return succeeds(client.request(method, path, body));
}

export function toggleReaction({ seq, reactions }, emoji) {
  const method = reactions?.[emoji]?.includes(client.user) ? "DELETE" : "PUT";
  changeMessage(method, seq, `/reactions/${encodeURIComponent(emoji)}`);
}

/** Waits for a promise; returns whether it succeeded, and shows the error if not. */
export function succeeds(promise) {
  return promise.then(() => true, (error) => showError(error.message));
}
