/**
 * What the user does with rooms: join, leave, and, as an admin, change the settings and the members.
 *
 * @module messenger/rooms
 */

import { isRoom, roomOf, roomPeer } from "../duologue.js";
import { $ } from "./dom.js";
import { loadRoom } from "./reading.js";
import { changed, client, conversation, runExclusive, state } from "./state.js";
import { succeeds } from "./writing.js";

export const isAdmin = (peer) => state.inbox.get(peer)?.settings?.membership?.role === "admin";

const openRoom = () => roomOf(state.openPeer);

let watched = "";

/** Watches the open room: for typing and, unless the user is a member, for everything. */
export function watchOpenRoom() {
  const room = isRoom(state.openPeer) ? openRoom() : "";
  if (!client || room === watched) return;
  if (watched) client.unwatch(watched);
  if (room) client.watch(room);
  watched = room;
}

/** Joins a room, or creates it, and opens it. The event of joining follows. */
export async function joinRoom(room) {
  if (await succeeds(client.rooms.joinRoom(room))) location.hash = roomPeer(room);
}

export const joinOpenRoom = () => succeeds(client.rooms.setMember(openRoom(), client.user));

export const leaveRoom = () => succeeds(client.rooms.leaveRoom(openRoom()));

/** Opens the dialog, and reads the members for it. */
export function showRoom() {
  const { openPeer } = state;
  $("room").showModal();
  changed();
  succeeds(runExclusive(() => loadRoom(openPeer)));
}

export function saveSettings() {
  const [title, join, history] = ["room-title", "room-join", "room-history"].map((id) => $(id).value.trim());
  const { metadata } = conversation(state.openPeer).settings;
  // Settings that are absent are reset.
  const settings = { title: title || undefined, join, history, metadata: metadata ?? undefined };
  succeeds(client.rooms.setRoom(openRoom(), settings));
}

export async function addMember() {
  const added = $("new-member");
  if (await succeeds(client.rooms.setMember(openRoom(), added.value))) added.value = "";
}

let selected = ""; // the member whose menu is open

const actions = {
  "make-admin": () => client.rooms.setMember(openRoom(), selected, "admin"),
  "make-member": () => client.rooms.setMember(openRoom(), selected, "member"),
  remove: () => client.rooms.removeMember(openRoom(), selected),
  ban: () => client.rooms.setMember(openRoom(), selected, "banned"),
};

/** Shows the actions that differ from the role of the member. */
export function openMemberMenu({ user, role }) {
  selected = user;
  const useless = { member: "make-member", admin: "make-admin", banned: "ban" }[role];
  for (const button of $("member-actions").children) button.hidden = button.dataset.action === useless;
}

export function onMemberMenuClick({ target }) {
  if (!target.dataset.action) return;
  $("member-actions").hidePopover();
  succeeds(actions[target.dataset.action]());
}
