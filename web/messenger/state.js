/**
 * The state of the page, and the client.
 *
 * @module messenger/state
 */

import { isRoom, roomOf } from "../duologue.js";

/** @typedef {import("../duologue/types.js").Message} Message */
/** @typedef {import("../duologue/types.js").Room} Room */
/** @typedef {import("../duologue/types.js").Member} Member */

export const USER_ID = /^(?!room:)(?!\.{1,2}$)[\w.~!$&'()*+;=:@|-]{1,255}$/;

/** Whether a text is the peer of a conversation: a user, or a room as `room:general`. */
export const isPeer = (text) => USER_ID.test(isRoom(text) ? roomOf(text) : text);

/** The name of a peer as it is shown. No user id contains a `#`. */
export const nameOf = (peer) => (isRoom(peer) ? `#${roomOf(peer)}` : peer);

/**
 * A row of the inbox, with the presence of the peer, or with the settings and the members of the room.
 * @typedef {object} Conversation
 * @property {string} peer
 * @property {number} unread_count
 * @property {Message} [last_message]
 * @property {boolean} [isMember]  whether the user is a member of the room
 * @property {Room} [settings]  of the room, set as soon as the conversation was opened
 * @property {Member[]} [members]  of the room, set as soon as its dialog was opened
 * @property {boolean} [online]
 * @property {?string} [last_seen]
 * @property {string} [typist]  who types
 * @property {number} [typingUntil]  the time in milliseconds until which the typist is shown
 * @property {History} [history]  set as soon as the conversation was opened
 */

/**
 * The loaded part of a conversation.
 * @typedef {object} History
 * @property {Map<number, Message>} messages  by `seq`
 * @property {?number} before  the `before` of the next older page; null if there is none
 */

export const state = {
  /** @type {Map<string, Conversation>} by peer */
  inbox: new Map(),
  totalUnread: 0,
  tab: "all", // or "people", "rooms"
  openPeer: "",
  drafts: new Map(), // peer -> text that was typed but not sent
  composing: {}, // { edit: seq } while editing a message, { reply: seq } while replying to one
};

/** @type {import("../duologue.js").Client} */
export let client;

export function setClient(created) {
  client = created;
}

/** The conversation with a peer, created if it is not in the inbox yet. */
export function conversation(peer) {
  return state.inbox.get(peer) ?? state.inbox.set(peer, { peer }).get(peer);
}

export const isTyping = ({ typingUntil }) => typingUntil > Date.now();

export function addMessage(peer, message) {
  const known = conversation(peer);
  if (message.seq >= (known.last_message?.seq ?? 0)) known.last_message = message;
  known.history?.messages.set(message.seq, message);
}

/** Runs `work` between two events, then renders the page. */
export const runExclusive = (work) => client.runExclusive(work).finally(changed);

let render = () => {};
let renderScheduled = false;

/** Sets the function that renders the state. */
export function renderWith(callback) {
  render = callback;
}

/** Renders the page once for all changes of the current task. */
export function changed() {
  if (renderScheduled || !client?.user) return;
  renderScheduled = true;
  queueMicrotask(() => {
    renderScheduled = false;
    render();
  });
}
