/**
 * Reading conversations and presences into the state.
 *
 * @module messenger/reading
 */

import { isRoom, roomOf } from "../duologue.js";
import { $, showError } from "./dom.js";
import { client, conversation, state } from "./state.js";

const PAGE_SIZE = 50;
const NO_ACCESS = ["ROOM_NOT_FOUND", "NOT_A_MEMBER"];

/** The path of a conversation. Ids may contain characters that have a meaning in URLs. */
export function conversationPath(peer) {
  return `/conversations/${encodeURIComponent(client.user)}/${encodeURIComponent(peer)}`;
}

export async function loadInbox() {
  state.inbox.clear();
  for (let next = ""; next !== null; ) {
    const path = `/conversations/${encodeURIComponent(client.user)}?limit=200${next && `&cursor=${next}`}`;
    const page = await client.request("GET", path);
    for (const row of page.conversations) Object.assign(conversation(row.peer), row, { isMember: true });
    state.totalUnread = page.total_unread_count;
    next = page.next_cursor;
  }
}

/** Reads a page into a history: the newest page, or the next older one. */
export async function loadPage(peer, history, limit = PAGE_SIZE) {
  const before = history.before ? `&before=${history.before}` : "";
  const path = `${conversationPath(peer)}?peek=true&unread_limit=0&limit=${limit}${before}`;
  const page = await client.request("GET", path);
  for (const message of page.history) history.messages.set(message.seq, message);
  history.before = page.next_before;
  return page;
}

/** Reads a conversation again, and the settings of the open room. */
export function loadConversation(peer) {
  return whileAccessible(peer, async () => {
    if (isRoom(peer) && peer === state.openPeer) await loadSettings(peer);
    await loadHistory(peer);
  });
}

/** Reads the settings of a room again, and its members if they are shown. */
export const loadRoom = (peer) => whileAccessible(peer, () => loadSettings(peer));

/** Forgets a room that the user has left, or has no access to. */
export function forgetRoom(peer, reason) {
  state.inbox.delete(peer);
  if (peer === state.openPeer) {
    $("room").close();
    location.hash = "";
  }
  showError(reason);
}

async function whileAccessible(peer, read) {
  try {
    await read();
  } catch (error) {
    if (!isRoom(peer) || !NO_ACCESS.includes(error.code)) throw error;
    forgetRoom(peer, error.message);
  }
}

async function loadSettings(peer) {
  const settings = await client.rooms.readRoom(roomOf(peer));
  const members = $("room").open ? await client.rooms.listMembers(roomOf(peer)) : undefined;
  Object.assign(conversation(peer), { settings, members, isMember: Boolean(settings.membership) });
}

/** Reads the row of a conversation in the inbox again, and the loaded part of its history. */
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

export async function loadPresence(...peers) {
  peers = peers.filter((peer) => !isRoom(peer));
  for (let start = 0; start < peers.length; start += 100) {
    const path = `/presence?users=${peers.slice(start, start + 100).map(encodeURIComponent)}`;
    const { users } = await client.request("GET", path);
    for (const { user, online, last_seen } of users) Object.assign(conversation(user), { online, last_seen });
  }
}
