/**
 * Applies events to the state.
 *
 * @module messenger/events
 */

import { isRoom, roomPeer } from "../duologue.js";
import { $ } from "./dom.js";
import { summary } from "./format.js";
import { forgetRoom, loadConversation, loadInbox, loadPresence, loadRoom } from "./reading.js";
import { watchOpenRoom } from "./rooms.js";
import { addMessage, changed, client, conversation, nameOf, runExclusive, state } from "./state.js";
import { forgetReceipts, succeeds } from "./writing.js";

const TYPING_SHOWN_MS = 5000;
const REFRESH_DELAY_MS = 300;

/** @param {import("../duologue/types.js").LiveEvent} event */
export async function onEvent(event) {
  const {
    type, cursor, prev, message, user,
    total_unread_count, unread_conversations, muted_unread_count, ...members
  } = event;
  state.totalUnread = total_unread_count ?? state.totalUnread;
  if (event.peer) Object.assign(conversation(event.peer), members, { isMember: true });
  if (message) addMessage(event.peer, message);
  try {
    await handlers[type]?.(event);
  } finally {
    changed();
  }
}

/**
 * Applies an event of the open room. Members receive all but `typing` in their own stream too, in its order.
 * @param {import("../duologue/types.js").RoomEvent} event
 */
export async function onRoomEvent({ type, room, user, message }) {
  const peer = roomPeer(room);
  if (type === "typing") showTyping(peer, user);
  else if (conversation(peer).isMember || peer !== state.openPeer) return;
  else if (message) addMessage(peer, message);
  else await loadConversation(peer);
  changed();
}

/** Further handling of some types of event. */
const handlers = {
  async hello() {
    watchOpenRoom();
    if (!client.cursor) await loadInbox();
    await loadPresence(...state.inbox.keys());
    if (state.openPeer && !conversation(state.openPeer).history) await loadConversation(state.openPeer);
    forgetReceipts();
  },
  async reset() {
    await loadInbox();
    await loadPresence(...state.inbox.keys());
    if (state.openPeer) await loadConversation(state.openPeer);
  },
  "conversation.changed": ({ peer }) => {
    conversation(peer).settings = null;
    return loadConversation(peer);
  },
  "room.joined": ({ peer, user }) => {
    if (user !== client.user) return onMembersChanged(peer);
    conversation(peer).settings = null;
    return loadConversation(peer);
  },
  "room.left": ({ peer, user }) => {
    if (user !== client.user) return onMembersChanged(peer);
    forgetRoom(peer, `You are no longer in ${nameOf(peer)}.`);
  },
  "message.created": ({ peer, message }) => {
    if (message.from === client.user) return;
    const known = conversation(peer);
    if (known.typist === message.from) known.typingUntil = 0;
    const author = isRoom(peer) ? `${nameOf(peer)}, ${message.from}` : peer;
    $("announcer").textContent = `${author}: ${summary(message)}`;
    // Presence is visible as soon as the peer has written.
    if (!known.online && !known.last_seen) return loadPresence(peer);
  },
  typing: ({ peer }) => showTyping(peer, peer),
};

let refreshing = false;

/** Reads the open room again, once for many who join or leave. Another room is read when it is opened. */
function onMembersChanged(peer) {
  if (peer !== state.openPeer) {
    conversation(peer).settings = null;
    return;
  }
  if (refreshing) return;
  refreshing = true;
  setTimeout(() => {
    refreshing = false;
    if (peer === state.openPeer) succeeds(runExclusive(() => loadRoom(peer)));
    else if (state.inbox.has(peer)) conversation(peer).settings = null;
  }, REFRESH_DELAY_MS);
}

function showTyping(peer, typist) {
  Object.assign(conversation(peer), { typist, typingUntil: Date.now() + TYPING_SHOWN_MS });
  setTimeout(changed, TYPING_SHOWN_MS + 50);
}
