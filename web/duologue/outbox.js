/**
 * Messages that the service has neither accepted nor refused yet.
 *
 * @module duologue/outbox
 */

import { isTemporary } from "./error.js";

const RETRY_MS = 1000;

/** @typedef {import("./types.js").OutboxItem} OutboxItem */

/**
 * What an outbox needs from its client.
 * @typedef {object} Connection
 * @property {() => boolean} isReady  whether messages can be sent
 * @property {(type: string, members: object) => Promise<any>} command  resolves with the acknowledgement
 * @property {(callback: string, ...values: any[]) => void} notify  calls a callback of the app
 */

/** Sends messages one at a time, in order, and keeps each until it is acknowledged. */
export class Outbox {
  /** @type {OutboxItem[]} */
  #items = [];
  #user = "";
  #flushing = false;
  #connection;
  #storage;

  /**
   * @param {Connection} connection
   * @param {import("./types.js").OutboxStorage} [storage]
   */
  constructor(connection, storage) {
    this.#connection = connection;
    this.#storage = storage;
  }

  /** The messages, oldest first. */
  get items() {
    return [...this.#items];
  }

  /** Adds a message at the end and returns its item. */
  add(message) {
    // `crypto.randomUUID` is missing in pages that are served over plain HTTP.
    const client_id = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const item = { client_id, ...message };
    this.#set([...this.#items, item]);
    this.flush();
    return item;
  }

  /** Adds the stored messages of the user in front of the others. From now on changes are stored. */
  async restore(user) {
    const stored = (await this.#storage?.load(user)) ?? [];
    this.#user = user;
    this.#set([...stored, ...this.#items]);
  }

  /** Sends the messages. To be called whenever the connection becomes ready. */
  async flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      let answered = true;
      while (answered && this.#connection.isReady() && this.#items.length > 0) {
        answered = await this.#deliver(this.#items[0]);
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** Sends a message; returns whether it was answered. After a temporary refusal it stays in the outbox. */
  async #deliver(item) {
    const { message, error } = await this.#connection.command("send", item).catch((error) => ({ error }));
    if (error?.code === "DISCONNECTED") return false;
    if (error && isTemporary(error)) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return true;
    }
    this.#set(this.#items.slice(1));
    if (error) this.#connection.notify("onRefused", error, item);
    else this.#connection.notify("onSent", message, item);
    return true;
  }

  #set(items) {
    this.#items = items;
    if (this.#user) this.#storage?.save(this.#user, items);
    this.#connection.notify("onOutboxChange");
  }
}
