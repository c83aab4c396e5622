/**
 * Duologue's messenger: the living example of a client. The protocol is in docs/live.md.
 *
 * # How a client uses cursors
 *
 * 1. It connects, and the first frame (`hello`) says where the stream of events starts. Only then it reads
 *    the inbox: what happens in between is an event too, so nothing falls into the gap.
 * 2. Events, and answers that hold state, are taken one after the other (`inOrder`). An event is absolute
 *    ("3 unread", never "one more"), so one that comes twice, or after a read that knew it, is harmless.
 * 3. A cursor is kept only when its event was processed whole (`process`). If that fails half-way, the
 *    connection is dropped, and the same event comes again.
 * 4. Coming back it shows the last cursor (`address`) and is told what it missed: the events, or one
 *    `conversation.changed` for each conversation that it must read anew, or `reset`: all of it.
 * 5. What the user types is kept (`outbox`) until it is acknowledged, and sent again under the same
 *    `idempotency_key` by whichever connection comes next: nothing is lost, nothing is there twice.
 *
 * Text that people wrote reaches the page by `textContent` alone.
 */

const TICKS = { pending: "◷", sent: "✓", delivered: "✓✓", read: "✓✓" };
const USER_ID = /^[\w.~@-]{1,64}$/;
const PAGE = 50;
const TYPING_SHOWN_MS = 5000;
const TYPING_TOLD_MS = 2000; // how often the peer is told, at most
const PING_PATIENCE_MS = 10_000;
const LONGEST_PAUSE_MS = 30_000;
const BAD_CREDENTIAL = [400, 401, 403];
const TRY_AGAIN = [408, 429, 503];

const state = {
  me: "",
  name: "", // who to be, where the service is open
  token: "", // where it is not
  cursor: "", // of the last event that was processed
  rows: new Map(), // peer -> row of the inbox, with presence, and with the `talk` once that was opened
  total: 0, // unread messages
  open: "", // the peer whose conversation is shown
  outbox: [], // what was typed and is not acknowledged, oldest first
  drafts: new Map(), // peer -> what was typed and not sent
  writing: {}, // { edit: seq } or { reply: seq } while the text to come is that
};

const $ = (id) => document.getElementById(id);

// --- The connection -------------------------------------------------------------------------------------

let socket = null;
let attempts = 0; // since the last `hello`
let retry = 0; // the timer of the next attempt
let heart = 0; // the timer of the next ping
let lastRef = 0;
const waiting = new Map(); // ref -> the promise of an answer

/**
 * Where to connect. A browser cannot set headers here, and does not tell a page why a handshake was refused.
 * So the page asks for a ticket: that is refused in words, and the token stays out of URLs.
 */
async function address() {
  const { ticket } = await api("POST", "/tickets", state.token ? {} : { user: state.name });
  const query = new URLSearchParams({ ticket, ...(state.cursor && { cursor: state.cursor }) });
  return `${location.origin.replace(/^http/, "ws")}/ws?${query}`;
}

async function connect() {
  clearTimeout(retry);
  retry = 0;
  try {
    const mine = new WebSocket(await address(), "duologue.v1");
    socket = mine;
    mine.onmessage = ({ data }) => receive(JSON.parse(data), mine);
    mine.onclose = ({ code }) => drop(mine, code);
  } catch (problem) {
    if (BAD_CREDENTIAL.includes(problem.status)) askWho(problem.message);
    else comeBack();
  }
}

/** Lets go of a connection. Whoever waits for its answer is told that none will come. */
function drop(mine, code) {
  if (mine !== socket) return;
  socket = null;
  mine.close();
  clearInterval(heart);
  for (const { reject } of waiting.values()) reject(new Error("The connection was lost."));
  waiting.clear();
  if (code === 4401) askWho("Your token has expired. A fresh one, please.");
  else comeBack(code === 1012 && attempts === 0);
}

/** Connects again after a growing, random pause, so that not everybody comes back at once. */
function comeBack(atOnce = false) {
  showConnection("Reconnecting…");
  const pause = Math.random() * Math.min(LONGEST_PAUSE_MS, 500 * 2 ** attempts++);
  retry = setTimeout(connect, atOnce ? 0 : pause);
}

/** A network can go without a word, so its silence is put to the question. */
async function ping() {
  const mine = socket;
  const patience = setTimeout(() => drop(mine), PING_PATIENCE_MS);
  await request({ type: "ping" }).catch(() => {});
  clearTimeout(patience);
}

/** Sends a frame; the promise is its answer. */
async function request(frame) {
  if (socket?.readyState !== WebSocket.OPEN) throw new Error("There is no connection.");
  const ref = String(++lastRef);
  socket.send(JSON.stringify({ ...frame, ref }));
  return new Promise((resolve, reject) => waiting.set(ref, { resolve, reject }));
}

function receive(frame, from) {
  const { resolve, reject } = waiting.get(frame.ref) ?? {};
  waiting.delete(frame.ref);
  if (frame.type === "ack") resolve?.(frame);
  else if (frame.type === "error") reject?.(failure(frame.problem));
  else inOrder(() => from === socket && process(frame, from)).catch(() => drop(from));
}

/** Asks the HTTP side. */
async function api(method, path, body) {
  const headers = {};
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw failure({ detail: answer.statusText, ...json, status: answer.status });
  return json;
}

/** A problem document as an error. */
function failure({ detail, errors, status }) {
  return Object.assign(new Error(errors?.[0].detail ?? detail), { status });
}

// --- Events ---------------------------------------------------------------------------------------------

let line = Promise.resolve();

/** Does what touches the state one after the other: events as they come, reads as they are answered. */
function inOrder(work) {
  line = line.catch(() => {}).then(work);
  return line.finally(changed);
}

async function process(event, from) {
  const { type, cursor, prev, message, total_unread_count, unread_conversations, ...members } = event;
  state.total = total_unread_count ?? state.total;
  if (event.peer) Object.assign(row(event.peer), members);
  if (message) put(event.peer, message);
  await handlers[type]?.(event, from); // what has no handler needs no more than that
  if (cursor) state.cursor = cursor;
}

const handlers = {
  async hello({ user, heartbeat_s }, from) {
    if (state.me && state.me !== user) return location.reload(); // another user's token
    if (!state.me) state.outbox = JSON.parse(sessionStorage.getItem(`outbox ${user}`)) ?? [];
    state.me = user;
    if (!state.cursor) await readInbox();
    await readPresence(...state.rows.keys());
    if (state.open && !row(state.open).talk) await readTalk(state.open);
    if (from !== socket) return; // lost again meanwhile
    attempts = 0;
    receipts.clear();
    heart = setInterval(ping, heartbeat_s * 1000);
    showConnection("Connected");
    flush();
  },
  async reset() {
    await readInbox();
    await readPresence(...state.rows.keys());
    if (state.open) await readTalk(state.open);
  },
  "conversation.changed": ({ peer }) => readTalk(peer),
  "message.created": ({ peer, message }) => {
    if (message.from !== peer) return;
    row(peer).typing = 0;
    $("announcer").textContent = `${peer}: ${summary(message)}`;
  },
  typing: ({ peer }) => {
    row(peer).typing = Date.now() + TYPING_SHOWN_MS;
    setTimeout(changed, TYPING_SHOWN_MS + 50);
  },
};

/** The row of the inbox, new if need be. */
const row = (peer) => state.rows.get(peer) ?? state.rows.set(peer, { peer }).get(peer);

/** Puts a message where it belongs: into its conversation at its `seq`. */
function put(peer, message) {
  const known = row(peer);
  if (message.seq >= (known.last_message?.seq ?? 0)) known.last_message = message;
  known.talk?.messages.set(message.seq, message);
}

// --- Reading --------------------------------------------------------------------------------------------

async function readInbox() {
  state.rows.clear();
  for (let next = ""; next !== null; ) {
    const page = await api("GET", `/conversations/${state.me}?limit=200${next && `&cursor=${next}`}`);
    for (const conversation of page.conversations) Object.assign(row(conversation.peer), conversation);
    state.total = page.total_unread_count;
    next = page.next_cursor;
  }
}

/** Reads a page into a conversation: the newest one, or the one before what is there. */
async function readPage(peer, talk, limit = PAGE) {
  const before = talk.before ? `&before=${talk.before}` : "";
  const page = await api("GET", `/conversations/${state.me}/${peer}?peek=true&limit=${limit}${before}`);
  for (const message of page.history) talk.messages.set(message.seq, message);
  talk.before = page.next_before;
  return page;
}

/** Reads anew what is shown of a conversation: its row, and back to the oldest message that was there. */
async function readTalk(peer) {
  const old = row(peer).talk;
  const talk = { messages: new Map(), before: null };
  const shown = old || peer === state.open;
  const { history, unread_count, last_seq, peer_read_seq } = await readPage(peer, talk, shown ? PAGE : 1);
  Object.assign(row(peer), { last_message: history[0], unread_count, last_seq, peer_read_seq });
  const oldest = Math.min(...(old?.messages.keys() ?? []));
  while (talk.before > oldest) await readPage(peer, talk);
  if (shown) row(peer).talk = talk;
}

async function readPresence(...peers) {
  for (let at = 0; at < peers.length; at += 100) {
    const { users } = await api("GET", `/presence?users=${peers.slice(at, at + 100)}`);
    for (const { user, online, last_seen } of users) Object.assign(row(user), { online, last_seen });
  }
}

// --- Writing --------------------------------------------------------------------------------------------

let flushing = false;

function send(to, body, reply_to) {
  const unique = crypto.getRandomValues(new Uint32Array(4)).join("-"); // no `randomUUID` on plain http
  state.outbox.push({ idempotency_key: unique, to, body, reply_to });
  flush();
}

/** Sends what waits, one after the other, so that it arrives as it was typed. */
async function flush() {
  keepOutbox();
  if (flushing) return;
  flushing = true;
  try {
    while (state.outbox.length > 0) await deliver(state.outbox[0]);
  } catch {
    // The connection is gone; the `hello` of the next one goes on.
  }
  flushing = false;
}

async function deliver(item) {
  try {
    put(item.to, (await request({ type: "send", ...item })).message);
  } catch (problem) {
    if (!problem.status) throw problem;
    if (TRY_AGAIN.includes(problem.status)) return new Promise((done) => setTimeout(done, 1000));
    say(`Not sent: ${problem.message}`); // What is refused for good goes back to where it was typed.
    if (item.to === state.open) $("text").value = `${item.body}\n${$("text").value}`.trim();
    else state.drafts.set(item.to, item.body);
  }
  state.outbox.shift();
  keepOutbox();
}

/** A tab that is loaded again still has what it did not send. */
function keepOutbox() {
  sessionStorage.setItem(`outbox ${state.me}`, JSON.stringify(state.outbox));
  changed();
}

const receipts = new Map(); // kind and peer -> the seq that was told

/** Tells once how far messages have arrived, or have been read if they are in view. */
function acknowledge({ peer, unread_count, last_seq }) {
  const type = peer === state.open && document.visibilityState === "visible" ? "read" : "delivered";
  const receipt = `${type} ${peer}`;
  if (!unread_count || receipts.get(receipt) >= last_seq) return;
  receipts.set(receipt, last_seq);
  request({ type, peer, seq: last_seq }).catch(() => receipts.delete(receipt));
}

let typingTold = 0;

function tellTyping() {
  if (state.writing.edit || Date.now() - typingTold < TYPING_TOLD_MS) return;
  typingTold = Date.now();
  request({ type: "typing", peer: state.open }).catch(() => {});
}

/** Changes a message. What came of it is told by an event, to this device as to all others. */
function change(method, seq, what = "", body) {
  return attempt(api(method, `/conversations/${state.me}/${state.open}/messages/${seq}${what}`, body));
}

function react({ seq, reactions }, emoji) {
  const method = reactions?.[emoji]?.includes(state.me) ? "DELETE" : "PUT";
  change(method, seq, `/reactions/${encodeURIComponent(emoji)}`);
}

/** Whether it went well; if not, the user is told. */
function attempt(promise) {
  return promise.then(() => true, ({ status, message }) => say(status ? message : "There is no connection."));
}

function say(trouble) {
  $("trouble").textContent = trouble;
  setTimeout(() => ($("trouble").textContent = ""), 8000);
}

// --- What is seen ---------------------------------------------------------------------------------------

let drawing = false;

/** Draws, once for many changes. */
function changed() {
  if (drawing || !state.me) return;
  drawing = true;
  queueMicrotask(() => {
    drawing = false;
    state.rows.forEach(acknowledge);
    drawInbox();
    if (state.open) drawTalk(row(state.open));
  });
}

function showConnection(words) {
  $("connection").textContent = words;
  $("messenger").dataset.connected = words === "Connected";
}

/** An element with properties and children; `label` is its name for who cannot see it. */
function make(tag, { label, ...properties }, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  if (label) element.setAttribute("aria-label", label);
  element.append(...children.filter((child) => child));
  return element;
}

const sign = (className, label, text) => make("i", { className, role: "img", label }, text);
const drawTick = (tick) => tick && sign(`tick ${tick}`, tick, TICKS[tick]);

const looks = new WeakMap();

/** Makes a list show these items. What looks as before is left alone; the focus stays where it was. */
function drawList(list, items, draw) {
  const known = new Map([...list.children].map((element) => [element.dataset.key, element]));
  const focused = list.contains(document.activeElement) && document.activeElement;
  const key = focused && focused.closest("[data-key]").dataset.key;
  items.forEach((item, at) => {
    let element = known.get(String(item.key));
    const look = JSON.stringify(item);
    if (looks.get(element) === look) known.delete(String(item.key));
    else looks.set((element = draw(item)), look);
    element.dataset.key = item.key;
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
  known.forEach((element) => element.remove());
  if (!focused || document.activeElement === focused) return;
  list.querySelector(`[data-key="${key}"] ${focused.localName}[class="${focused.className}"]`)?.focus();
}

function when(time) {
  const then = new Date(time);
  const today = then.toDateString() === new Date().toDateString();
  return then.toLocaleString([], today ? { timeStyle: "short" } : { day: "numeric", month: "short" });
}

const isTyping = ({ typing }) => typing > Date.now();

/** A message in a line. */
function summary({ body, attachments, deleted_at }) {
  if (deleted_at) return "Deleted";
  return body || attachments?.map(({ name, url }) => name ?? url).join(", ");
}

function tickOf({ from, seq, deleted_at }, { peer_read_seq, peer_delivered_seq }) {
  if (from !== state.me || deleted_at) return "";
  if (seq <= peer_read_seq) return "read";
  return seq <= peer_delivered_seq ? "delivered" : "sent";
}

function drawInbox() {
  document.title = state.total ? `(${state.total}) Duologue` : "Duologue";
  $("me").textContent = state.me;
  const shown = [...state.rows.values()].filter((row) => row.last_message);
  shown.sort((one, other) => (one.last_message.sent_at < other.last_message.sent_at ? 1 : -1));
  drawList($("rows"), shown.map(viewRow), drawRow);
  $("no-rows").hidden = shown.length > 0;
}

function viewRow(row) {
  const { peer, online, unread_count, last_message } = row;
  const typing = isTyping(row);
  return { key: peer, open: peer === state.open, online, typing, unread_count, time: last_message.sent_at,
    tick: !typing && tickOf(last_message, row), text: typing ? "typing…" : summary(last_message) };
}

function drawRow({ key, open, online, typing, unread_count, time, tick, text }) {
  return make("li", {}, make("a", { className: "row", href: `#${key}`, ariaCurrent: open ? "true" : null },
    make("b", {}, key, online && sign("online", "online", " ●")),
    make("time", {}, when(time)),
    make("span", { className: typing ? "typing" : "" }, drawTick(tick), text),
    unread_count > 0 && sign("badge", `${unread_count} unread`, unread_count)));
}

function drawTalk(row) {
  const { peer, talk, online, last_seen } = row;
  const messages = [...(talk?.messages.values() ?? [])].sort((one, other) => one.seq - other.seq);
  const pending = state.outbox.filter((item) => item.to === peer);
  drawList($("messages"), [...messages, ...pending].map((message) => view(message, row)), drawMessage);
  $("older").hidden = !talk?.before;
  $("peer").textContent = peer;
  $("presence").textContent = online ? "online" : last_seen ? `last seen ${when(last_seen)}` : "";
  $("typing").hidden = !isTyping(row);
  const { edit, reply } = state.writing;
  $("context").hidden = !edit && !reply;
  $("context").firstElementChild.textContent = edit ? "Change your message" : quote(reply, talk);
}

/** All that a message's looks depend on. What waits in the outbox has no `seq` yet. */
function view(message, row) {
  const { seq, from = state.me, idempotency_key, reply_to } = message;
  const tick = seq ? tickOf(message, row) : "pending";
  return { ...message, key: seq ?? idempotency_key, from, tick, quoted: quote(reply_to, row.talk) };
}

function quote(seq, talk) {
  const message = talk?.messages.get(seq);
  if (!message) return seq ? "An earlier message" : "";
  return `${message.from}: ${summary(message)}`;
}

function drawMessage(message) {
  const { seq, from, body, sent_at, edited_at, deleted_at, attachments = [], tick, quoted } = message;
  const mine = from === state.me;
  return make("li", { className: mine ? "mine" : "theirs" },
    make("span", { className: "unseen" }, `${mine ? "You" : from}: `),
    quoted && make("blockquote", {}, quoted),
    make("p", { className: deleted_at ? "deleted" : "" }, deleted_at ? "This message was deleted." : body),
    ...attachments.map(({ url, name }) => make("a", { href: url, target: "_blank" }, name ?? url)),
    make("small", {}, edited_at && "edited", sent_at && make("time", {}, when(sent_at)), drawTick(tick)),
    drawReactions(message),
    seq && !deleted_at && make("button", {
      className: "menu", label: "Actions", popoverTargetElement: $("actions"), onclick: () => choose(message),
    }, "⋯"));
}

function drawReactions(message) {
  const drawn = Object.entries(message.reactions ?? {}).map(([emoji, users]) => make("button", {
    label: `${emoji} from ${users.join(" and ")}`, onclick: () => react(message, emoji),
  }, `${emoji} ${users.length}`));
  return make("div", { className: "reactions" }, ...drawn);
}

// --- What the user does ---------------------------------------------------------------------------------

/** The conversation is named by the fragment, so links, history and the back button just work. */
async function openTalk() {
  const name = location.hash.slice(1);
  stopWriting();
  state.drafts.set(state.open, $("text").value);
  state.open = USER_ID.test(name) && name !== state.me ? name : "";
  $("text").value = state.drafts.get(state.open) ?? "";
  $("messenger").dataset.open = state.open;
  changed();
  if (!state.open) return;
  $(matchMedia("(pointer: fine)").matches ? "text" : "peer").focus();
  if (!state.cursor || row(name).talk) return; // without a cursor the `hello` to come reads it
  await attempt(inOrder(() => readTalk(name)));
  await attempt(inOrder(() => readPresence(name)));
}

let acted = null; // the message that the menu is about

function choose(message) {
  acted = message;
  for (const button of document.querySelectorAll("#actions .own")) button.hidden = message.from !== state.me;
}

const actions = {
  reply: ({ seq }) => startWriting({ reply: seq }, $("text").value),
  edit: ({ seq, body }) => startWriting({ edit: seq }, body),
  remove: ({ seq }) => {
    $("sure").showModal();
    $("sure").onclose = () => $("sure").returnValue === "yes" && change("DELETE", seq);
  },
};

function act({ target }) {
  if (target.localName !== "button") return;
  $("actions").hidePopover();
  if (target.dataset.do) actions[target.dataset.do](acted);
  else react(acted, target.textContent);
}

function startWriting(what, text) {
  stopWriting();
  if (what.edit) state.drafts.set(state.open, $("text").value);
  state.writing = what;
  $("text").value = text;
  $("text").focus();
}

function stopWriting() {
  if (state.writing.edit) $("text").value = state.drafts.get(state.open);
  state.writing = {};
  changed();
}

async function submit() {
  const text = $("text").value.trim();
  const { edit, reply } = state.writing;
  if (!text) return;
  if (edit && !(await change("PATCH", edit, "", { body: text }))) return;
  stopWriting();
  if (edit) return;
  $("text").value = "";
  send(state.open, text, reply);
}

/** Enter sends, Shift+Enter is a new line, Escape goes back to plain writing. */
function keyed(event) {
  if (event.key === "Escape") stopWriting();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
}

/** Who looks again, or has a network again, need not wait. */
function hurry() {
  changed();
  if (retry) connect();
  else if (socket) ping();
}

// --- Coming in and going --------------------------------------------------------------------------------

function askWho(refusal = "") {
  sessionStorage.removeItem("session");
  $("refusal").textContent = refusal;
  $("messenger").hidden = true;
  $("door").hidden = false;
  $("who").focus();
}

/** Comes in. After a token's end the same user goes on where it was: cursor and outbox are still there. */
function enter(who) {
  sessionStorage.setItem("session", who);
  Object.assign(state, USER_ID.test(who) ? { name: who, token: "" } : { token: who });
  $("door").hidden = true;
  $("messenger").hidden = false;
  showConnection("Connecting…");
  connect();
}

function listen() {
  const on = (id, event, act) => $(id).addEventListener(event, act);
  const onSubmit = (id, act) => on(id, "submit", (event) => { event.preventDefault(); act(); });
  onSubmit("sign-in", () => enter($("who").value.trim()));
  onSubmit("begin", () => { location.hash = $("whom").value; $("whom").value = ""; });
  onSubmit("composer", submit);
  on("text", "keydown", keyed);
  on("text", "input", tellTyping);
  on("cancel", "click", stopWriting);
  on("actions", "click", act);
  on("leave", "click", () => { sessionStorage.clear(); location.replace(location.pathname); });
  on("older", "click", () => attempt(inOrder(() => readPage(state.open, row(state.open).talk))));
  addEventListener("hashchange", openTalk);
  addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
}

listen();
openTalk();
if (sessionStorage.getItem("session")) enter(sessionStorage.getItem("session"));
else askWho();
