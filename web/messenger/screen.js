/**
 * Rendering the open conversation.
 *
 * @module messenger/screen
 */

import { isRoom } from "../duologue.js";
import { openMenu } from "./composer.js";
import { $, createElement, createTick, renderList } from "./dom.js";
import { deliveryStatus, formatTime, listOf, quote } from "./format.js";
import { renderInbox } from "./inbox.js";
import { renderRoom } from "./room_dialog.js";
import { client, conversation, isTyping, nameOf, state } from "./state.js";
import { toggleReaction } from "./writing.js";

export function renderScreen() {
  renderInbox();
  if (state.openPeer) renderConversation(conversation(state.openPeer));
}

function renderConversation(conversation) {
  const { peer, history, online, last_seen, typist } = conversation;
  const messages = [...(history?.messages.values() ?? [])].sort((a, b) => a.seq - b.seq);
  // The event of a message may arrive before the acknowledgement.
  const sent = new Set(messages.map((message) => message.client_id));
  const pending = client.outbox.filter((item) => item.to === peer && !sent.has(item.client_id));
  const items = [...messages, ...pending].map((message, place, all) =>
    messageItem(message, all[place - 1], conversation));
  renderList($("messages"), items, createMessage);
  $("load-older").hidden = !history?.before;
  $("peer").textContent = nameOf(peer);
  $("presence").textContent = online ? "online" : last_seen ? `last seen ${formatTime(last_seen)}` : "";
  $("typing").hidden = !isTyping(conversation);
  $("typing").textContent = isRoom(peer) ? `${typist} is typing` : "typing";
  renderRoom(conversation);
  const { edit, reply } = state.composing;
  $("context").hidden = !edit && !reply;
  $("context").firstElementChild.textContent = edit ? "Editing your message" : quote(reply, history);
}

/** The content of a message. A pending message has no `seq` yet. In a room, authors have names. */
function messageItem(message, previous, conversation) {
  const { seq, from = client.user, client_id, reply_to } = message;
  const tick = seq ? deliveryStatus(message, client.user, conversation) : "pending";
  const quoted = quote(reply_to, conversation.history);
  const isNamed = isRoom(conversation.peer) && from !== client.user && from !== previous?.from;
  return { ...message, key: seq ?? client_id, from, tick, quoted, isNamed };
}

function createMessage(message) {
  const { seq, from, body, sent_at, edited_at, deleted_at, attachments = [], tick, quoted } = message;
  const isMine = from === client.user;
  const authorClass = message.isNamed ? "author" : "visually-hidden";
  return createElement("li", { className: isMine ? "mine" : "theirs" },
    createElement("span", { className: authorClass }, isMine ? "You" : from),
    createElement("span", { className: "visually-hidden" }, ": "),
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
    label: `${emoji} from ${listOf(users)}`, onclick: () => toggleReaction(message, emoji),
  }, `${emoji} ${users.length}`));
  return createElement("div", { className: "reactions" }, ...buttons);
}
