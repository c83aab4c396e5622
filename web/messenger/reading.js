/**
 * Reading conversations and presences into the state.
 *
 * @module messenger/reading
 */

import { client, conversation, state } from "./state.js";

const PAGE_SIZE = 50;

/** The path of a conversation. Ids may contain characters that have a meaning in URLs. */
export function conversationPath(peer) {
  return `/conversations/${encodeURIComponent(client.user)}/${encodeURIComponent(peer)}`;
}

export async function loadInbox() {
  state.inbox.clear();
  for (let next = ""; next !== null; ) {
    const path = `/conversations/${encodeURIComponent(client.user)}?limit=200${next && `&cursor=${next}`}`;
    const page = await client.request("GET", path);
    for (const row of page.conversations) Object.assign(conversation(row.peer), row);
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

/** Reads a conversation again: its row in the inbox, and the loaded part of its history. */
export async function loadHistory(peer) {
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
  for (let start = 0; start < peers.length; start += 100) {
    const path = `/presence?users=${peers.slice(start, start + 100).map(encodeURIComponent)}`;
    const { users } = await client.request("GET", path);
    for (const { user, online, last_seen } of users) Object.assign(conversation(user), { online, last_seen });
  }
}
