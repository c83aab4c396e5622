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

/** The delivery status of a message in a conversation; "" for a message of the peer. */
export function deliveryStatus({ from, seq, deleted_at }, { peer, peer_read_seq, peer_delivered_seq }) {
  if (from === peer || deleted_at) return "";
  if (seq <= peer_read_seq) return "read";
  return seq <= peer_delivered_seq ? "delivered" : "sent";
}

/** The message that a reply quotes, on one line. */
export function quote(seq, history) {
  const message = history?.messages.get(seq);
  if (!message) return seq ? "An earlier message" : "";
  return `${message.from}: ${summary(message)}`;
}
