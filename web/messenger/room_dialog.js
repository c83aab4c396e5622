/**
 * Rendering a room: the dialog with its settings and members, and what its conversation has beside messages.
 *
 * @module messenger/room_dialog
 */

import { isRoom } from "../duologue.js";
import { $, createElement, renderList } from "./dom.js";
import { isAdmin, openMemberMenu } from "./rooms.js";
import { client, nameOf } from "./state.js";

let filled = ""; // the settings in the form as JSON

const countOf = (count) => `${count} ${count === 1 ? "member" : "members"}`;

/** The title and the number of members, and whether the user can write or join. */
export function renderRoom({ peer, settings, members, isMember }) {
  const isReader = isRoom(peer) && Boolean(settings) && !isMember;
  $("composer").hidden = isReader;
  $("join-bar").hidden = !isReader;
  $("show-room").hidden = !settings;
  $("title").textContent = settings?.title ?? "";
  if (settings) $("show-room").textContent = countOf(settings.member_count);
  if ($("room").open && settings) renderDialog(peer, settings, members ?? [], isMember);
  else filled = "";
}

function renderDialog(peer, settings, members, isMember) {
  const mayChange = isAdmin(peer);
  $("room-name").textContent = nameOf(peer);
  fillSettings(settings);
  $("room-about").textContent = mayChange ? "" : settings.title;
  $("room-settings").firstElementChild.disabled = !mayChange;
  for (const element of document.querySelectorAll("#room .admin-only")) element.hidden = !mayChange;
  $("leave-room").hidden = !isMember;
  $("member-count").textContent = countOf(settings.member_count);
  const hasMenu = (user) => mayChange && user !== client.user;
  const items = members.map(({ user, role }) => ({ key: user, role, hasMenu: hasMenu(user) }));
  renderList($("members"), items, createMember);
}

/** Fills in the settings when they have changed, so that what an admin is typing stays. */
function fillSettings({ room, title, join, history }) {
  const settings = JSON.stringify([room, title, join, history]);
  if (settings === filled) return;
  filled = settings;
  $("room-title").value = title ?? "";
  $("room-join").value = join;
  $("room-history").value = history;
}

function createMember({ key, role, hasMenu }) {
  return createElement("li", {},
    createElement("b", {}, key), key === client.user && createElement("small", {}, "you"),
    role !== "member" && createElement("small", { className: role }, role),
    hasMenu && createElement("button", {
      type: "button", className: "menu", label: `Actions for ${key}`,
      popoverTargetElement: $("member-actions"), onclick: () => openMemberMenu({ user: key, role }),
    }, "⋯"));
}
