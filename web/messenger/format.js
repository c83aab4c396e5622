/**
 * Messages and times as text.
 *
 * @module messenger/format
 */

/** The time of day, or the date unless it is today. */
export function formatTime(time) {
  const date = new Date(time);
  const isToday = date.toDateString() === new Date().toDateString();
  return date.toLocaleString([], isToday ? { timeStyle: "short" } : { day: "numeric", month: "short" });
}

/** A message on one line. */
export function summary({ body, attachments, deleted_at }) {
  if (deleted_at) return "Deleted";
  return body || attachments?.map(({ name, url }) => name ?? url).join(", ");
}

/** A list of names: "alice", "alice and bob", "alice, bob, and carol". */
export const listOf = (names) => new Intl.ListFormat("en").format(names);

/** The delivery status of a message of the user: in a room "sent". "" for a message of another user. */
export function deliveryStatus({ from, seq, deleted_at }, user, { peer_read_seq, peer_delivered_seq }) {
  if (from !== user || deleted_at) return "";
  if (seq <= peer_read_seq) return "read";
  return seq <= peer_delivered_seq ? "delivered" : "sent";
}

/** The message that a reply quotes, on one line. */
export function quote(seq, history) {
  const message = history?.messages.get(seq);
  if (!message) return seq ? "An earlier message" : "";
  return `${message.from}: ${summary(message)}`;
}
