/**
 * One WebSocket: commands and their answers, and noticing that it is lost.
 *
 * @module duologue/connection
 */

import { DuologueError, disconnected } from "./error.js";

const PROTOCOL = "duologue.v1";
const HELLO_TIMEOUT_MS = 15_000;
const PING_TIMEOUT_MS = 10_000;

/** A connection is used once. */
export class Connection {
  #socket;
  #onLost;
  #lastRef = 0;
  #pending = new Map(); // ref -> the promise of its answer
  #heartbeat = 0;

  /**
   * @param {string} url
   * @param {(event: object) => void} onEvent  receives everything that is not the answer to a command
   * @param {(closeCode?: number) => void} onLost
   */
  constructor(url, onEvent, onLost) {
    this.#onLost = onLost;
    this.#socket = new WebSocket(url, PROTOCOL);
    const helloTimer = setTimeout(() => onLost(), HELLO_TIMEOUT_MS);
    this.#socket.onmessage = ({ data }) => {
      clearTimeout(helloTimer);
      const message = JSON.parse(data);
      if (!this.#answer(message)) onEvent(message);
    };
    this.#socket.onclose = ({ code }) => {
      clearTimeout(helloTimer);
      onLost(code);
    };
  }

  /** Sends a command and resolves with its acknowledgement. */
  async command(type, members) {
    if (this.#socket.readyState !== WebSocket.OPEN) throw disconnected("There is no connection.");
    const ref = String(++this.#lastRef);
    this.#socket.send(JSON.stringify({ ...members, type, ref }));
    return new Promise((resolve, reject) => this.#pending.set(ref, { resolve, reject }));
  }

  /** Requests an answer, because a network can fail without closing the connection. */
  async ping() {
    const timer = setTimeout(() => this.#onLost(), PING_TIMEOUT_MS);
    await this.command("ping").catch(() => {});
    clearTimeout(timer);
  }

  /** Sends a ping every so many seconds. */
  pingEvery(seconds) {
    this.#heartbeat = setInterval(() => this.ping(), seconds * 1000);
  }

  close() {
    this.#socket.close();
    clearInterval(this.#heartbeat);
    for (const { reject } of this.#pending.values()) reject(disconnected("The connection was lost."));
    this.#pending.clear();
  }

  /** Settles the command that a message answers; returns whether it is an answer. */
  #answer({ type, ref, problem, ...members }) {
    if (type !== "ack" && type !== "error") return false;
    const pending = this.#pending.get(ref);
    this.#pending.delete(ref);
    if (type === "ack") pending?.resolve(members);
    else pending?.reject(new DuologueError(problem));
    return true;
  }
}
