/**
 * Rendering the inbox: its tabs, and a row for each conversation.
 *
 * @module messenger/inbox
 */

import { isRoom } from "../duologue.js";
import { $, createElement, createIcon, createTick, renderList } from "./dom.js";
import { deliveryStatus, formatTime, summary } from "./format.js";
import { changed, client, isTyping, nameOf, state } from "./state.js";

const NAMES = { all: "All", people: "People", rooms: "Rooms" };
const TABS = Object.keys(NAMES);
const NOTHING = { all: "No conversations yet.", people: "No conversations yet.", rooms: "No rooms yet." };

export function renderInbox() {
  document.title = state.totalUnread ? `(${state.totalUnread}) Duologue` : "Duologue";
  $("user").textContent = client.user;
  const listed = (tab) => [...state.inbox.values()].filter((row) => isListed(row, tab));
  renderTabs(listed);
  const shown = listed(state.tab);
  const sentAt = ({ last_message }) => last_message?.sent_at ?? "";
  shown.sort((a, b) => (sentAt(a) < sentAt(b) ? 1 : -1));
  renderList($("conversations"), shown.map(rowItem), createRow);
  $("no-conversations").hidden = shown.length > 0;
  $("no-conversations").textContent = NOTHING[state.tab];
}

/** Whether a tab lists a conversation. A room is listed as long as the user is a member. */
function isListed({ peer, isMember, last_message }, tab) {
  if (isRoom(peer)) return isMember && tab !== "people";
  return last_message && tab !== "rooms";
}

/** Shows what is unread in the tabs that are not selected. */
function renderTabs(listed) {
  for (const tab of $("tabs").children) {
    const { name } = tab.dataset;
    const count = listed(name).reduce((sum, { unread_count = 0 }) => sum + unread_count, 0);
    const badge = count > 0 && name !== state.tab && name !== "all" ? `${count}` : "";
    if (tab.dataset.badge === badge) continue; // a screen reader may be at this tab
    tab.dataset.badge = badge;
    tab.replaceChildren(`${NAMES[name]} `, badge && createIcon("badge", `${count} unread`, badge));
  }
}

/** The content of a row. */
function rowItem(conversation) {
  const { peer, online, unread_count, last_message } = conversation;
  const typing = isTyping(conversation) && !isRoom(peer);
  return { key: peer, open: peer === state.openPeer, online, typing, unread_count,
    time: last_message?.sent_at,
    tick: !typing && last_message && deliveryStatus(last_message, client.user, conversation),
    text: typing ? "typing…" : lastText(peer, last_message) };
}

/** The last message on one line, in a room with its author. */
function lastText(peer, message) {
  if (!message) return "No messages yet";
  const isNamed = isRoom(peer) && message.from !== client.user;
  return (isNamed ? `${message.from}: ` : "") + summary(message);
}

function createRow({ key, open, online, typing, unread_count, time, tick, text }) {
  const link = { className: "row", href: `#${key}`, ariaCurrent: open ? "true" : null };
  return createElement("li", {}, createElement("a", link,
    createElement("b", {}, nameOf(key), online && createIcon("online", "online", " ●")),
    createElement("time", {}, time && formatTime(time)),
    createElement("span", { className: typing ? "typing" : "" }, createTick(tick), text),
    unread_count > 0 && createIcon("badge", `${unread_count} unread`, unread_count)));
}

export function onTabClick({ target }) {
  const tab = target.closest("[role=tab]");
  if (tab) selectTab(tab.dataset.name);
}

/** The arrow keys, Home and End move in the tabs. */
export function onTabKeydown(event) {
  const place = TABS.indexOf(state.tab);
  const places = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: -1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  selectTab(TABS.at(places[event.key] % TABS.length));
  document.querySelector("#tabs [aria-selected=true]").focus();
}

function selectTab(name) {
  state.tab = name;
  for (const tab of $("tabs").children) {
    const isSelected = tab.dataset.name === name;
    tab.ariaSelected = String(isSelected);
    tab.tabIndex = isSelected ? 0 : -1;
    if (isSelected) $("list").setAttribute("aria-labelledby", tab.id);
  }
  changed();
}
