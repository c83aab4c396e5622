/**
 * Applies events to the state.
 *
 * @module messenger/events
 */

import { $ } from "./dom.js";
import { summary } from "./format.js";
import { loadHistory, loadInbox, loadPresence } from "./reading.js";
import { addMessage, changed, client, conversation, state } from "./state.js";
import { forgetReceipts } from "./writing.js";

const TYPING_SHOWN_MS = 5000;

/** @param {import("../duologue/types.js").LiveEvent} event */
export async function onEvent(event) {
  const {
    type, cursor, prev, message,
    total_unread_count, unread_conversations, muted_unread_count, ...members
  } = event;
  state.totalUnread = total_unread_count ?? state.totalUnread;
  if (event.peer) Object.assign(conversation(event.peer), members);
  if (message) addMessage(event.peer, message);
  try {
    await handlers[type]?.(event);
  } finally {
    changed();
  }
}

/** Further handling of some types of event. */
const handlers = {
  async hello() {
    if (!client.cursor) await loadInbox();
    await loadPresence(...state.inbox.keys());
    if (state.openPeer && !conversation(state.openPeer).history) await loadHistory(state.openPeer);
    forgetReceipts();
  },
  async reset() {
    await loadInbox();
    await loadPresence(...state.inbox.keys());
    if (state.openPeer) await loadHistory(state.openPeer);
  },
  "conversation.changed": ({ peer }) => loadHistory(peer),
  "message.created": ({ peer, message }) => {
    if (message.from !== peer) return;
    conversation(peer).typingUntil = 0;
    $("announcer").textContent = `${peer}: ${summary(message)}`;
    // Presence is visible as soon as the peer has written.
    const { online, last_seen } = conversation(peer);
    if (!online && !last_seen) return loadPresence(peer);
  },
  typing: ({ peer }) => {
    conversation(peer).typingUntil = Date.now() + TYPING_SHOWN_MS;
    setTimeout(changed, TYPING_SHOWN_MS + 50);
  },
};
