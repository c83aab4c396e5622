/**
 * The rooms that the client watches, across connections.
 *
 * @module duologue/watches
 */

import { isTemporary } from "./error.js";

const RETRY_MS = 1000;

/**
 * What the watches need from their client.
 * @typedef {object} Connection
 * @property {() => boolean} isReady  whether commands can be sent
 * @property {(type: string, members: object) => Promise<any>} command
 * @property {(event: import("./types.js").RoomEvent) => void} receive  queues an event
 * @property {(callback: string, ...values: any[]) => void} notify  calls a callback of the app
 */

/** Watches each room again after a lost connection, from the last event that was processed. */
export class Watches {
  /** @type {Map<string, string>} */
  #cursors = new Map(); // room -> the cursor to resume from, or "" before `watched` was processed
  #connection;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#connection = connection;
  }

  add(room, after = "") {
    if (this.#cursors.has(room)) return;
    this.#cursors.set(room, after);
    this.#request(room);
  }

  remove(room) {
    if (this.#cursors.delete(room)) this.#connection.command("unwatch", { room }).catch(() => {});
  }

  has(room) {
    return this.#cursors.has(room);
  }

  /** Watches all rooms. To be called whenever the connection becomes ready. */
  restore() {
    for (const room of this.#cursors.keys()) this.#request(room);
  }

  /** Records that an event was processed. The service ends the watch of a user who loses access. */
  processed({ room, type, cursor }) {
    if (type === "unwatched") this.#cursors.delete(room);
    else if (cursor && this.#cursors.has(room)) this.#cursors.set(room, cursor);
  }

  async #request(room) {
    if (!this.#connection.isReady()) return;
    const after = this.#cursors.get(room);
    try {
      const { cursor } = await this.#connection.command("watch", after ? { room, after } : { room });
      if (!after) this.#connection.receive({ type: "watched", room, cursor });
    } catch (error) {
      if (error.code === "DISCONNECTED" || !this.#cursors.has(room)) return;
      if (isTemporary(error)) {
        setTimeout(() => this.#cursors.has(room) && this.#request(room), RETRY_MS);
        return;
      }
      this.#cursors.delete(room);
      this.#connection.notify("onWatchRefused", error, room);
    }
  }
}
