/**
 * The messenger at `/`: the screen, and an example of an app that uses `duologue.js`.
 *
 * - It reads the inbox at the first `hello`, which says where the stream of events starts. What happens
 *   meanwhile arrives as an event afterwards.
 * - `onEvent` puts each event into `state`, and `changed` renders `state`. Other reads run inside
 *   `client.runExclusive`, so that an older answer never overwrites a newer event.
 * - After a lost connection the client resumes, and the service sends the missed events, or a
 *   `conversation.changed` for each conversation to read again, or `reset`: read everything again.
 * - What was typed is shown as pending until the client reports it as sent.
 *
 * Text that people wrote reaches the page only as `textContent`.
 *
 * @module messenger
 */

import { Client } from "./duologue.js";

const TICKS = { pending: "◷", sent: "✓", delivered: "✓✓", read: "✓✓" };
const USER_ID = /^(?!room:)(?!\.{1,2}$)[\w.~!$&'()*+;=:@|-]{1,255}$/;
const TOKEN = /^ey[\w-]+\.[\w-]+\.[\w-]*$/; // a JWT, which a user id could look like
const PAGE_SIZE = 50;
const TYPING_SHOWN_MS = 5000;
const TYPING_INTERVAL_MS = 2000;
const ERROR_SHOWN_MS = 8000;

/**
 * @typedef {object} Conversation  a row of the inbox, with the peer's presence
 * @property {string} peer
 * @property {number} unread_count
 * @property {import("./duologue.js").Message} [last_message]
 * @property {boolean} [online]
 * @property {?string} [last_seen]
 * @property {number} [typingUntil]  when to stop showing that the peer is typing, in milliseconds
 * @property {History} [history]  set once the conversation was opened
 */

/**
 * @typedef {object} History  the part of a conversation that was read
 * @property {Map<number, import("./duologue.js").Message>} messages  by `seq`
 * @property {?number} before  where the next older page ends; null if there is none
 */

const state = {
  /** @type {Map<string, Conversation>} by peer */
  inbox: new Map(),
  totalUnread: 0,
  openPeer: "",
  drafts: new Map(), // peer -> text that was typed but not sent
  composing: {}, // { edit: seq } or { reply: seq } while the composer does that
};

/** @type {Client} */
let client;
let token = "";

const $ = (id) => document.getElementById(id);

// --- Events ---------------------------------------------------------------------------------------------

/** @param {import("./duologue.js").LiveEvent} event */
async function onEvent(event) {
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

/** What some events need in addition. */
const handlers = {
  async hello() {
    if (!client.cursor) await loadInbox();
    await loadPresence(...state.inbox.keys());
    if (state.openPeer && !conversation(state.openPeer).history) await loadHistory(state.openPeer);
    receiptsSent.clear();
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
  },
  typing: ({ peer }) => {
    conversation(peer).typingUntil = Date.now() + TYPING_SHOWN_MS;
    setTimeout(changed, TYPING_SHOWN_MS + 50);
  },
};

/** The conversation with a peer, created if it is not in the inbox yet. */
function conversation(peer) {
  return state.inbox.get(peer) ?? state.inbox.set(peer, { peer }).get(peer);
}

function addMessage(peer, message) {
  const known = conversation(peer);
  if (message.seq >= (known.last_message?.seq ?? 0)) known.last_message = message;
  known.history?.messages.set(message.seq, message);
}

// --- Reading --------------------------------------------------------------------------------------------

/** The path of a conversation. Ids hold characters that have a meaning in URLs. */
function conversationPath(peer) {
  return `/conversations/${encodeURIComponent(client.user)}/${encodeURIComponent(peer)}`;
}

async function loadInbox() {
  state.inbox.clear();
  for (let next = ""; next !== null; ) {
    const path = `/conversations/${encodeURIComponent(client.user)}?limit=200${next && `&cursor=${next}`}`;
    const page = await client.request("GET", path);
    for (const row of page.conversations) Object.assign(conversation(row.peer), row);
    state.totalUnread = page.total_unread_count;
    next = page.next_cursor;
  }
}

/** Reads a page into a history: the newest one, or the one before what it has. */
async function loadPage(peer, history, limit = PAGE_SIZE) {
  const before = history.before ? `&before=${history.before}` : "";
  const path = `${conversationPath(peer)}?peek=true&unread_limit=0&limit=${limit}${before}`;
  const page = await client.request("GET", path);
  for (const message of page.history) history.messages.set(message.seq, message);
  history.before = page.next_before;
  return page;
}

/** Reads a conversation again: its row in the inbox, and what was shown of its history. */
async function loadHistory(peer) {
  const old = conversation(peer).history;
  const history = { messages: new Map(), before: null };
  const isShown = old || peer === state.openPeer;
  const page = await loadPage(peer, history, isShown ? PAGE_SIZE : 1);
  const { unread_count, last_seq, peer_read_seq } = page;
  Object.assign(conversation(peer), { last_message: page.history[0], unread_count, last_seq, peer_read_seq });
  const oldest = Math.min(...(old?.messages.keys() ?? []));
  while (history.before > oldest) await loadPage(peer, history);
  if (isShown) conversation(peer).history = history;
}

async function loadPresence(...peers) {
  for (let start = 0; start < peers.length; start += 100) {
    const path = `/presence?users=${peers.slice(start, start + 100).map(encodeURIComponent)}`;
    const { users } = await client.request("GET", path);
    for (const { user, online, last_seen } of users) Object.assign(conversation(user), { online, last_seen });
  }
}

const runExclusive = (work) => client.runExclusive(work).finally(changed);

// --- Writing --------------------------------------------------------------------------------------------

/** A tab that is reloaded still has its outbox. */
const storage = {
  load: (user) => JSON.parse(sessionStorage.getItem(`outbox ${user}`)) ?? [],
  save: (user, items) => sessionStorage.setItem(`outbox ${user}`, JSON.stringify(items)),
};

function onSent(message, item) {
  addMessage(item.to, message);
  changed();
}

/** Puts a refused text back where it was typed. */
function onRefused(error, item) {
  showError(`Not sent: ${error.message}`);
  if (item.to === state.openPeer) $("text").value = `${item.body}\n${$("text").value}`.trim();
  else state.drafts.set(item.to, item.body);
}

const receiptsSent = new Map(); // "read alice" -> the highest seq that was reported

/** Reports new messages once: as read if they are in view, otherwise as delivered. */
function sendReceipt({ peer, unread_count, last_seq }) {
  const type = peer === state.openPeer && document.visibilityState === "visible" ? "read" : "delivered";
  const key = `${type} ${peer}`;
  if (!unread_count || receiptsSent.get(key) >= last_seq) return;
  receiptsSent.set(key, last_seq);
  client.command(type, { peer, seq: last_seq }).catch(() => receiptsSent.delete(key));
}

let typingSentAt = 0;

function sendTyping() {
  if (state.composing.edit || Date.now() - typingSentAt < TYPING_INTERVAL_MS) return;
  typingSentAt = Date.now();
  client.command("typing", { peer: state.openPeer }).catch(() => {});
}

/** Changes a message. An event then tells the result to every device, this one included. */
function changeMessage(method, seq, suffix = "", body) {
  const path = `${conversationPath(state.openPeer)}/messages/${seq}${suffix}`;
  return succeeds(client.request(method, path, body));
}

function toggleReaction({ seq, reactions }, emoji) {
  const method = reactions?.[emoji]?.includes(client.user) ? "DELETE" : "PUT";
  changeMessage(method, seq, `/reactions/${encodeURIComponent(emoji)}`);
}

/** Whether a promise succeeds. Shows the error if it does not. */
function succeeds(promise) {
  return promise.then(() => true, (error) => showError(error.message));
}

function showError(text) {
  $("error").textContent = text;
  setTimeout(() => ($("error").textContent = ""), ERROR_SHOWN_MS);
}

// --- Rendering ------------------------------------------------------------------------------------------

let renderScheduled = false;

/** Renders once for all changes of the current task. */
function changed() {
  if (renderScheduled || !client?.user) return;
  renderScheduled = true;
  queueMicrotask(() => {
    renderScheduled = false;
    state.inbox.forEach(sendReceipt);
    renderInbox();
    if (state.openPeer) renderConversation(conversation(state.openPeer));
  });
}

/** An element with properties and children. `label` is its accessible name. */
function createElement(tag, { label, ...properties }, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (label) element.setAttribute("aria-label", label);
  element.append(...children.filter((child) => child));
  return element;
}

const createIcon = (className, label, text) => createElement("i", { className, role: "img", label }, text);
const createTick = (tick) => tick && createIcon(`tick ${tick}`, tick, TICKS[tick]);

const renderedItems = new WeakMap(); // element -> the item it shows, as JSON

/** Makes a list show these items. Elements of unchanged items stay, and so does the focus. */
function renderList(list, items, create) {
  const unused = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const focused = list.contains(document.activeElement) && document.activeElement;
  const focusedKey = focused && focused.closest("[data-key]").dataset.key;
  items.forEach((item, index) => {
    let element = unused.get(String(item.key));
    const json = JSON.stringify(item);
    if (renderedItems.get(element) === json) unused.delete(String(item.key));
    else renderedItems.set((element = create(item)), json);
    element.dataset.key = item.key;
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
  unused.forEach((element) => element.remove());
  if (!focused || document.activeElement === focused) return;
  const same = `[data-key="${focusedKey}"] ${focused.localName}[class="${focused.className}"]`;
  list.querySelector(same)?.focus();
}

function formatTime(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], isToday ? { timeStyle: "short" } : { day: "numeric", month: "short" });
}

const isTyping = ({ typingUntil }) => typingUntil > Date.now();

/** A message in one line. */
function summary({ body, attachments, deleted_at }) {
  if (deleted_at) return "Deleted";
  return body || attachments?.map(({ name, url }) => name ?? url).join(", ");
}

/** How far a message of the user's own got. */
function deliveryStatus({ from, seq, deleted_at }, { peer_read_seq, peer_delivered_seq }) {
  if (from !== client.user || deleted_at) return "";
  if (seq <= peer_read_seq) return "read";
  return seq <= peer_delivered_seq ? "delivered" : "sent";
}

function renderInbox() {
  document.title = state.totalUnread ? `(${state.totalUnread}) Duologue` : "Duologue";
  $("user").textContent = client.user;
  const shown = [...state.inbox.values()].filter(({ last_message }) => last_message);
  shown.sort((a, b) => (a.last_message.sent_at < b.last_message.sent_at ? 1 : -1));
  renderList($("conversations"), shown.map(rowItem), createRow);
  $("no-conversations").hidden = shown.length > 0;
}

/** Everything that a row shows. */
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
  // The event of a message may be here before the answer to sending it.
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

/** Everything that an element of a message shows. A pending message has no `seq` yet. */
function messageItem(message, conversation) {
  const { seq, from = client.user, client_id, reply_to } = message;
  const tick = seq ? deliveryStatus(message, conversation) : "pending";
  const quoted = quote(reply_to, conversation.history);
  return { ...message, key: seq ?? client_id, from, tick, quoted };
}

function quote(seq, history) {
  const message = history?.messages.get(seq);
  if (!message) return seq ? "An earlier message" : "";
  return `${message.from}: ${summary(message)}`;
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

// --- Actions of the user --------------------------------------------------------------------------------

/** Opens the conversation that the URL's fragment names, so links and the back button work. */
async function openConversation() {
  const peer = location.hash.slice(1);
  stopComposing();
  state.drafts.set(state.openPeer, $("text").value);
  state.openPeer = USER_ID.test(peer) && peer !== client?.user ? peer : "";
  $("text").value = state.drafts.get(state.openPeer) ?? "";
  $("messenger").dataset.open = state.openPeer;
  changed();
  if (!state.openPeer) return;
  $(matchMedia("(pointer: fine)").matches ? "text" : "peer").focus();
  if (!client?.cursor || conversation(peer).history) return; // without a cursor, `hello` will load it
  await succeeds(runExclusive(() => loadHistory(peer)));
  await succeeds(runExclusive(() => loadPresence(peer)));
}

let selected = null; // the message whose menu is open

function openMenu(message) {
  selected = message;
  for (const button of document.querySelectorAll("#actions .author-only")) {
    button.hidden = message.from !== client.user;
  }
}

const actions = {
  reply: ({ seq }) => startComposing({ reply: seq }, $("text").value),
  edit: ({ seq, body }) => startComposing({ edit: seq }, body),
  remove: ({ seq }) => {
    const dialog = $("confirm-delete");
    dialog.showModal();
    dialog.onclose = () => dialog.returnValue === "delete" && changeMessage("DELETE", seq);
  },
};

function onMenuClick({ target }) {
  if (target.localName !== "button") return;
  $("actions").hidePopover();
  if (target.dataset.action) actions[target.dataset.action](selected);
  else toggleReaction(selected, target.textContent);
}

function startComposing(what, text) {
  stopComposing();
  if (what.edit) state.drafts.set(state.openPeer, $("text").value);
  state.composing = what;
  $("text").value = text;
  $("text").focus();
  changed();
}

function stopComposing() {
  if (state.composing.edit) $("text").value = state.drafts.get(state.openPeer);
  state.composing = {};
  changed();
}

async function submit() {
  const text = $("text").value.trim();
  const { edit, reply } = state.composing;
  if (!text) return;
  if (edit && !(await changeMessage("PATCH", edit, "", { body: text }))) return;
  stopComposing();
  if (edit) return;
  $("text").value = "";
  client.send({ to: state.openPeer, body: text, reply_to: reply });
}

/** Enter sends, Shift+Enter starts a new line, Escape cancels a reply or an edit. */
function onKeydown(event) {
  if (event.key === "Escape") stopComposing();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
}

/** The network or the user is back: reconnects without a delay, or checks the connection. */
function onReturn() {
  changed();
  if (client && client.state !== "disconnected") client.connect();
}

// --- Signing in and out ---------------------------------------------------------------------------------

function showSignIn(error = "") {
  sessionStorage.removeItem("session");
  $("sign-in-error").textContent = error;
  $("messenger").hidden = true;
  $("sign-in").hidden = false;
  $("credential").focus();
}

/** Signs in. After a token has expired, the same client continues where it was. */
function signIn(credential) {
  sessionStorage.setItem("session", credential);
  const isUser = USER_ID.test(credential) && !TOKEN.test(credential);
  const user = isUser ? credential : undefined;
  token = user ? "" : credential;
  if (!client?.user) client = createClient(user);
  $("sign-in").hidden = true;
  $("messenger").hidden = false;
  client.connect();
}

function createClient(user) {
  return new Client({
    url: location.origin, getToken: () => token, user, storage,
    onEvent, onStateChange, onSent, onRefused, onOutboxChange: changed,
  });
}

function onStateChange(connection, error) {
  if (error?.code === "USER_CHANGED") location.reload(); // the new session starts with an empty state
  else if (connection === "disconnected") showSignIn(error?.message);
  const progress = error ? "Reconnecting…" : "Connecting…";
  $("connection").textContent = connection === "connected" ? "Connected" : progress;
  $("messenger").dataset.connected = connection === "connected";
}

function signOut() {
  sessionStorage.clear();
  location.replace(location.pathname);
}

function addListeners() {
  const on = (id, event, listener) => $(id).addEventListener(event, listener);
  const onSubmit = (id, listener) => on(id, "submit", (event) => {
    event.preventDefault();
    listener();
  });
  onSubmit("sign-in-form", () => signIn($("credential").value.trim()));
  onSubmit("start", () => {
    location.hash = $("new-peer").value;
    $("new-peer").value = "";
  });
  onSubmit("composer", submit);
  on("text", "keydown", onKeydown);
  on("text", "input", sendTyping);
  on("cancel", "click", stopComposing);
  on("actions", "click", onMenuClick);
  on("sign-out", "click", signOut);
  on("load-older", "click", () => {
    const { openPeer } = state;
    succeeds(runExclusive(() => loadPage(openPeer, conversation(openPeer).history)));
  });
  addEventListener("hashchange", openConversation);
  addEventListener("online", onReturn);
  document.addEventListener("visibilitychange", onReturn);
}

addListeners();
openConversation();
const session = sessionStorage.getItem("session");
if (session) signIn(session);
else showSignIn();
