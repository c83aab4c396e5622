/**
 * What the user does in a conversation: open it, write, choose from the menu of a message.
 *
 * @module messenger/composer
 */

import { isRoom } from "../duologue.js";
import { $ } from "./dom.js";
import { loadConversation, loadPresence } from "./reading.js";
import { isAdmin, watchOpenRoom } from "./rooms.js";
import { changed, client, conversation, isPeer, runExclusive, state } from "./state.js";
import { changeMessage, succeeds, toggleReaction } from "./writing.js";

/** Opens the conversation in the URL's fragment, so that links and the back button work. */
export async function openConversation() {
  const peer = location.hash.slice(1);
  stopComposing();
  state.drafts.set(state.openPeer, $("text").value);
  state.openPeer = isPeer(peer) && peer !== client?.user ? peer : "";
  $("text").value = state.drafts.get(state.openPeer) ?? "";
  $("messenger").dataset.open = state.openPeer;
  $("room").close();
  watchOpenRoom();
  changed();
  if (!state.openPeer) return;
  $(matchMedia("(pointer: fine)").matches ? "text" : "peer").focus();
  const { history, settings } = client ? conversation(peer) : {};
  const isLoaded = isRoom(peer) ? settings : history;
  if (!client?.cursor || isLoaded) return; // without a cursor, `hello` loads it
  await succeeds(runExclusive(() => loadConversation(peer)));
  await succeeds(runExclusive(() => loadPresence(peer)));
}

let selected = null; // the message whose menu is open

export function openMenu(message) {
  selected = message;
  const isMine = message.from === client.user;
  document.querySelector("#actions [data-action=edit]").hidden = !isMine;
  document.querySelector("#actions [data-action=remove]").hidden = !isMine && !isAdmin(state.openPeer);
}

const actions = {
  reply: ({ seq }) => startComposing({ reply: seq }, $("text").value),
  edit: ({ seq, body }) => startComposing({ edit: seq }, body),
  remove: ({ seq }) => {
    const dialog = $("confirm-delete");
    const whom = isRoom(state.openPeer) ? "everyone" : "both of you";
    $("question").textContent = `Delete this message for ${whom}?`;
    dialog.showModal();
    dialog.onclose = () => dialog.returnValue === "delete" && changeMessage("DELETE", seq);
  },
};

export function onMenuClick({ target }) {
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

export function stopComposing() {
  if (state.composing.edit) $("text").value = state.drafts.get(state.openPeer);
  state.composing = {};
  changed();
}

export async function submit() {
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
export function onKeydown(event) {
  if (event.key === "Escape") stopComposing();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
}
