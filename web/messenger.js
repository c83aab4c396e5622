/**
 * The messenger at `/`, and an example of an app that uses `duologue.js`.
 *
 * - At the first `hello` it reads the inbox (`reading.js`). Later changes arrive as events.
 * - `events.js` applies each event to `state`, and `screen.js` renders `state`. Other reads run inside
 *   `runExclusive`, so that an older response never overwrites a newer event.
 * - After a lost connection the client resumes, and the service sends the missed events, or a
 *   `conversation.changed` for each conversation to read again, or `reset`: read everything again.
 * - A sent message is shown as pending until the client reports it as sent (`writing.js`).
 *
 * Text of users reaches the page only as `textContent`.
 *
 * This module signs in and out, and connects the modules to the elements of the page.
 *
 * @module messenger
 */

import { Client } from "./duologue.js";
import { onKeydown, onMenuClick, openConversation, stopComposing, submit } from "./messenger/composer.js";
import { $ } from "./messenger/dom.js";
import { onEvent, onRoomEvent } from "./messenger/events.js";
import { onTabClick, onTabKeydown } from "./messenger/inbox.js";
import { loadPage } from "./messenger/reading.js";
import {
  addMember, joinOpenRoom, joinRoom, leaveRoom, onMemberMenuClick, saveSettings, showRoom,
} from "./messenger/rooms.js";
import { renderScreen } from "./messenger/screen.js";
import {
  changed, client, conversation, renderWith, runExclusive, setClient, state, USER_ID,
} from "./messenger/state.js";
import { onRefused, onSent, sendReceipt, sendTyping, storage, succeeds } from "./messenger/writing.js";

const TOKEN = /^ey[\w-]+\.[\w-]+\.[\w-]*$/; // a JWT; it would also be a valid user id

/** The folder of this module, so that the page also works under a path of a proxy. */
const SERVICE = new URL(".", import.meta.url).href.replace(/\/$/, "");

let token = "";

function showSignIn(error = "") {
  sessionStorage.removeItem("session");
  $("sign-in-error").textContent = error;
  $("messenger").hidden = true;
  $("sign-in").hidden = false;
  $("credential").focus();
}

/** Signs in. After a token has expired, the same client resumes. */
function signIn(credential) {
  sessionStorage.setItem("session", credential);
  const isUser = USER_ID.test(credential) && !TOKEN.test(credential);
  const user = isUser ? credential : undefined;
  token = user ? "" : credential;
  if (!client?.user) setClient(createClient(user));
  $("sign-in").hidden = true;
  $("messenger").hidden = false;
  client.connect();
}

function createClient(user) {
  return new Client({
    url: SERVICE, getToken: () => token, user, storage,
    onEvent, onRoomEvent, onStateChange, onSent, onRefused, onOutboxChange: changed,
  });
}

function onStateChange(connection, error) {
  if (error?.code === "USER_CHANGED") location.reload(); // starts with an empty state
  else if (connection === "disconnected") showSignIn(error?.message);
  const progress = error ? "Reconnecting…" : "Connecting…";
  $("connection").textContent = connection === "connected" ? "Connected" : progress;
  $("messenger").dataset.connected = connection === "connected";
}

function signOut() {
  sessionStorage.clear();
  location.replace(location.pathname);
}

/** Reconnects without a delay, or checks the connection, when the network or the user returns. */
function onReturn() {
  changed();
  if (client && client.state !== "disconnected") client.connect();
}

function addListeners() {
  const on = (id, event, listener) => $(id).addEventListener(event, listener);
  const onSubmit = (id, listener) => on(id, "submit", (event) => {
    event.preventDefault();
    listener();
  });
  onSubmit("sign-in-form", () => signIn($("credential").value.trim()));
  onSubmit("start", () => {
    const peer = $("new-peer").value;
    if (peer.startsWith("#")) joinRoom(peer.slice(1));
    else location.hash = peer;
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
  on("tabs", "click", onTabClick);
  on("tabs", "keydown", onTabKeydown);
  on("show-room", "click", showRoom);
  on("join", "click", joinOpenRoom);
  on("leave-room", "click", leaveRoom);
  on("member-actions", "click", onMemberMenuClick);
  on("room", "close", changed);
  onSubmit("room-settings", saveSettings);
  onSubmit("add-member", addMember);
  addEventListener("hashchange", openConversation);
  addEventListener("online", onReturn);
  document.addEventListener("visibilitychange", onReturn);
}

renderWith(() => {
  state.inbox.forEach(sendReceipt);
  renderScreen();
});
addListeners();
openConversation();
const session = sessionStorage.getItem("session");
if (session) signIn(session);
else showSignIn();
