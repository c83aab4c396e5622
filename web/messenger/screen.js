/**
 * Rendering: the inbox and the open conversation.
 *
 * @module messenger/screen
 */

import { openMenu } from "./composer.js";
import { $, createElement, renderList } from "./dom.js";
import { deliveryStatus, formatTime, quote, summary } from "./format.js";
import { client, conversation, state } from "./state.js";
import { toggleReaction } from "./writing.js";

const TICKS = { pending: "◷", sent: "✓", delivered: "✓✓", read: "✓✓" };

export function renderScreen() {
  renderInbox();
  if (state.openPeer) renderConversation(conversation(state.openPeer));
}

const createIcon = (className, label, text) => createElement("i", { className, role: "img", label }, text);
const createTick = (tick) => tick && createIcon(`tick ${tick}`, tick, TICKS[tick]);

const isTyping = ({ typingUntil }) => typingUntil > Date.now();

function renderInbox() {
  document.title = state.totalUnread ? `(${state.totalUnread}) Duologue` : "Duologue";
  $("user").textContent = client.user;
  const shown = [...state.inbox.values()].filter(({ last_message }) => last_message);
  shown.sort((a, b) => (a.last_message.sent_at < b.last_message.sent_at ? 1 : -1));
  renderList($("conversations"), shown.map(rowItem), createRow);
  $("no-conversations").hidden = shown.length > 0;
}

/** The content of a row. */
function rowItem(conversation) {
  const { peer, online, unread_count, last_message } = conversation;
  const typing = isTyping(conversation);
  return { key: peer, open: peer === state.openPeer, online, typing, unread_count, time: last_message.sent_at,
    tick: !typing && deliveryStatus(last_message, conversation),
    text: typing ? "typing…" : summary(last_message) };
}

function createRow({ key, open, online, typing, unread_count, time, tick, text }) {
  const link = { className: "row", href: `#${key}`, ariaCurrent: open ? "true" : null };
  return createElement("li", {}, createElement("a", link,
    createElement("b", {}, key, online && createIcon("online", "online", " ●")),
    createElement("time", {}, formatTime(time)),
    createElement("span", { className: typing ? "typing" : "" }, createTick(tick), text),
    unread_count > 0 && createIcon("badge", `${unread_count} unread`, unread_count)));
}

function renderConversation(conversation) {
  const { peer, history, online, last_seen } = conversation;
  const messages = [...(history?.messages.values() ?? [])].sort((a, b) => a.seq - b.seq);
  // The event of a message may arrive before the acknowledgement.
  const sent = new Set(messages.map((message) => message.client_id));
  const pending = client.outbox.filter((item) => item.to === peer && !sent.has(item.client_id));
  const items = [...messages, ...pending].map((message) => messageItem(message, conversation));
  renderList($("messages"), items, createMessage);
  $("load-older").hidden = !history?.before;
  $("peer").textContent = peer;
  $("presence").textContent = online ? "online" : last_seen ? `last seen ${formatTime(last_seen)}` : "";
  $("typing").hidden = !isTyping(conversation);
  const { edit, reply } = state.composing;
  $("context").hidden = !edit && !reply;
  $("context").firstElementChild.textContent = edit ? "Editing your message" : quote(reply, history);
}

/** The content of a message. A pending message has no `seq` yet. */
function messageItem(message, conversation) {
  const { seq, from = client.user, client_id, reply_to } = message;
  const tick = seq ? deliveryStatus(message, conversation) : "pending";
  const quoted = quote(reply_to, conversation.history);
  return { ...message, key: seq ?? client_id, from, tick, quoted };
}

function createMessage(message) {
  const { seq, from, body, sent_at, edited_at, deleted_at, attachments = [], tick, quoted } = message;
  const isMine = from === client.user;
  return createElement("li", { className: isMine ? "mine" : "theirs" },
    createElement("span", { className: "visually-hidden" }, `${isMine ? "You" : from}: `),
    quoted && createElement("blockquote", {}, quoted),
    createElement("p", { className: deleted_at ? "deleted" : "" },
      deleted_at ? "This message was deleted." : body),
    ...attachments.map(({ url, name }) => createElement("a", { href: url, target: "_blank" }, name ?? url)),
    createElement("small", {}, edited_at && "edited",
      sent_at && createElement("time", {}, formatTime(sent_at)), createTick(tick)),
    createReactions(message),
    seq && !deleted_at && createElement("button", {
      className: "menu", label: "Actions", popoverTargetElement: $("actions"),
      onclick: () => openMenu(message),
    }, "⋯"));
}

function createReactions(message) {
  const buttons = Object.entries(message.reactions ?? {}).map(([emoji, users]) => createElement("button", {
    label: `${emoji} from ${users.join(" and ")}`, onclick: () => toggleReaction(message, emoji),
  }, `${emoji} ${users.length}`));
  return createElement("div", { className: "reactions" }, ...buttons);
}
