/**
 * The state of the page, and the client.
 *
 * @module messenger/state
 */

/** @typedef {import("../duologue/types.js").Message} Message */

export const USER_ID = /^(?!room:)(?!\.{1,2}$)[\w.~!$&'()*+;=:@|-]{1,255}$/;

/**
 * A row of the inbox, with the presence of the peer.
 * @typedef {object} Conversation
 * @property {string} peer
 * @property {number} unread_count
 * @property {Message} [last_message]
 * @property {boolean} [online]
 * @property {?string} [last_seen]
 * @property {number} [typingUntil]  the time in milliseconds until which the peer is shown as typing
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
