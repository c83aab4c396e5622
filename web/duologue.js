/**
 * A client of Duologue without a user interface: it connects, resumes after a lost connection, sends commands
 * and HTTP requests, and keeps messages until the service has acknowledged them. It depends only on
 * `WebSocket`, `fetch` and `crypto`, so it runs in pages, in workers, and in Node.js 22 or later. To use it,
 * copy this file and the folder `duologue` into an app. `docs/live.md` describes the protocol, `openapi.yaml`
 * the HTTP API, and `messenger.js` is a complete example.
 *
 *     import { Client } from "./duologue.js";
 *
 *     const client = new Client({
 *       url: location.origin,
 *       getToken: () => tokenFromYourBackend(),
 *       onEvent: async (event) => {
 *         const hasNoState = event.type === "reset" || (event.type === "hello" && !client.cursor);
 *         const inbox = `/conversations/${encodeURIComponent(event.user)}`;
 *         if (hasNoState) await showInbox(await client.request("GET", inbox));
 *         if (event.type === "message.created") showMessage(event.peer, event.message);
 *       },
 *       onSent: (message) => showMessage(message.to, message),
 *       onRefused: (error, item) => showError(`Not sent: ${error.message}`, item),
 *     });
 *     client.connect();
 *     client.send({ to: "bob", body: "Hello" });
 *
 * # Guarantees
 *
 * - Events are processed one at a time, in order: the next one waits until `onEvent` has settled.
 * - No event is lost. The cursor advances only after `onEvent` has succeeded. If `onEvent` throws, the client
 *   reconnects with the previous cursor, and the service repeats the event.
 * - Therefore an event may arrive more than once. Events contain totals ("3 unread", never "one more"), and a
 *   message has its `seq`, so processing an event twice has no effect.
 * - A message passed to `send` stays in the outbox until the service accepts or refuses it. After a lost
 *   connection it is sent again with the same `client_id`, so it is stored once. The service recognizes a
 *   `client_id` for 24 hours. Messages are sent one at a time, in the order of the calls.
 * - A refused message leaves the outbox and is reported once, by `onRefused`.
 * - The token is sent in a header only. A connection is opened with a single-use ticket, because browsers
 *   cannot set headers on a WebSocket and URLs end up in logs.
 *
 * @module duologue
 */

import { Connection } from "./duologue/connection.js";
import { DuologueError, disconnected } from "./duologue/error.js";
import { requestSocketUrl, sendRequest } from "./duologue/http.js";
import { Outbox } from "./duologue/outbox.js";
import { isRoom, roomOf, roomPeer, Rooms } from "./duologue/rooms.js";
import { Watches } from "./duologue/watches.js";

/** @typedef {import("./duologue/types.js").Options} Options */
/** @typedef {import("./duologue/types.js").OutboxItem} OutboxItem */
/** @typedef {import("./duologue/types.js").ConnectionState} ConnectionState */

export { DuologueError, isRoom, roomOf, roomPeer };

const MIN_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
const CLOSE_REPLACED = 4409; // newer connections of the user took its place
const CLOSE_RESTART = 1012; // the process stops, and another one accepts connections
const CLOSE_TOKEN_EXPIRED = 4401;
const CREDENTIAL_REFUSED = [400, 401, 403];

/** The connection of a user to the service. An app needs one per user. */
export class Client {
  /** @type {Options} */
  #options;
  /** @type {ConnectionState} */
  #state = "disconnected";
  #user = "";
  #cursor;
  #outbox;
  #watches;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve(); // settles after all work that was passed to `runExclusive`
  /** @type {?Connection} */
  #connection = null;
  #attempt = 0; // number of attempts to connect, so that the late result of an earlier one is ignored
  #failures = 0; // failed attempts since the last `hello`
  #retryTimer = 0;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#cursor = options.cursor ?? "";
    const connection = {
      isReady: () => this.#state === "connected",
      command: (...call) => this.command(...call),
      receive: (event) => this.#receive(event, this.#connection),
      notify: (...call) => this.#notify(...call),
    };
    this.#outbox = new Outbox(connection, options.storage);
    this.#watches = new Watches(connection);
    /** The requests for rooms. */
    this.rooms = new Rooms(this, Boolean(options.user));
  }

  /** @returns {ConnectionState} */
  get state() {
    return this.#state;
  }

  /** The user, or "" before the first `hello`. */
  get user() {
    return this.#user;
  }

  /** The cursor of the last event that was processed, or "" before the first one. */
  get cursor() {
    return this.#cursor;
  }

  /** The messages that are not acknowledged yet, oldest first. */
  get outbox() {
    return this.#outbox.items;
  }

  /**
   * Connects and stays connected until `disconnect`. If the client waits to reconnect, it tries immediately;
   * if it is connected, it checks the connection. Call it also when the network returns or the app comes to
   * the foreground.
   */
  connect() {
    if (this.#connection) this.#connection.ping();
    else if (this.#retryTimer) this.#open();
    else if (this.#state === "disconnected") {
      this.#setState("connecting");
      this.#open();
    }
  }

  /** Closes the connection and stays disconnected. Keeps the outbox and the cursor. */
  disconnect() {
    this.#stop();
  }

  /**
   * Puts a message into the outbox. It is sent as soon as the client is connected.
   * @param {{to: string, body: string, reply_to?: number, attachments?: object[], metadata?: object,
   *   client_id?: string}} message  `client_id` must be unique in the conversation; generated by default
   * @returns {OutboxItem} the item in `outbox`, which is also passed to `onSent` or `onRefused`
   */
  send(message) {
    return this.#outbox.add(message);
  }

  /**
   * Watches a room: its events go to `onRoomEvent` until `unwatch`, also after a lost connection. Members
   * receive the messages of their rooms without it; watching is for an audience, and for typing.
   * @param {string} room
   * @param {string} [after]  the cursor of the last event of the room that the app knows
   */
  watch(room, after) {
    this.#watches.add(room, after);
  }

  unwatch(room) {
    this.#watches.remove(room);
  }

  /**
   * Sends a command over the WebSocket: `read`, `delivered` or `typing`.
   * @param {string} type
   * @param {object} [members]  the members of the command, see docs/live.md
   * @returns {Promise<any>} the members of the acknowledgement
   * @throws {DuologueError} `DISCONNECTED` if there is no connection, or if it is lost before the answer.
   *   Then the command may or may not have been executed.
   */
  async command(type, members) {
    if (!this.#connection) throw disconnected("There is no connection.");
    return this.#connection.command(type, members);
  }

  /**
   * Sends an HTTP request to the service.
   * @param {string} method
   * @param {string} path  the path with its query, e.g. `/conversations/alice?limit=20`
   * @param {object} [body]
   * @param {Object<string, string>} [headers]
   * @returns {Promise<any>} the body of the response
   * @throws {DuologueError} `DISCONNECTED` if the service cannot be reached
   */
  request(method, path, body, headers) {
    return sendRequest(this.#options, method, path, body, headers);
  }

  /**
   * Runs `work` between two events: no event is processed until it has settled. Use it to read state and
   * apply it, so that an older response never overwrites a newer event.
   * @template T
   * @param {() => T|Promise<T>} work
   * @returns {Promise<T>}
   */
  runExclusive(work) {
    const result = this.#queue.then(() => work());
    this.#queue = result.catch(() => {});
    return result;
  }

  async #open() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    const attempt = ++this.#attempt;
    try {
      const url = await requestSocketUrl(this.#options, this.#cursor);
      if (attempt === this.#attempt) this.#listen(url);
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (CREDENTIAL_REFUSED.includes(error.status)) this.#stop(error);
      else this.#reconnect(error);
    }
  }

  #listen(url) {
    const connection = new Connection(
      url, (event) => this.#receive(event, connection), (closeCode) => this.#lose(connection, closeCode));
    this.#connection = connection;
  }

  #receive(event, connection) {
    const processed = this.runExclusive(() => this.#process(event, connection));
    processed.catch((error) => this.#lose(connection, 0, error));
  }

  async #process(event, connection) {
    if (connection !== this.#connection) return;
    if (event.room && !event.peer) return this.#processRoomEvent(event);
    if (event.type === "hello" && !(await this.#identify(event.user))) return;
    await this.#options.onEvent(event);
    if (event.cursor) this.#cursor = event.cursor;
    if (event.type !== "hello" || connection !== this.#connection) return;
    this.#failures = 0;
    connection.pingEvery(event.heartbeat_s);
    this.#setState("connected");
    this.#watches.restore();
    this.#outbox.flush();
  }

  async #processRoomEvent(event) {
    if (!this.#watches.has(event.room)) return;
    await this.#options.onRoomEvent?.(event);
    this.#watches.processed(event);
  }

  /** Reads the user from the first `hello`. The outbox of one user must not be sent as another user. */
  async #identify(user) {
    if (!this.#user) {
      await this.#outbox.restore(user);
      this.#user = user;
    }
    if (user === this.#user) return true;
    this.#stop(new DuologueError({ code: "USER_CHANGED", detail: `This token belongs to ${user}.` }));
    return false;
  }

  #lose(connection, closeCode, error = disconnected("The connection was lost.")) {
    if (connection !== this.#connection) return;
    this.#release();
    if (closeCode === CLOSE_REPLACED) {
      this.#stop(new DuologueError({ code: "REPLACED", detail: "The user connected on too many devices." }));
      return;
    }
    const expected = closeCode === CLOSE_RESTART || closeCode === CLOSE_TOKEN_EXPIRED;
    this.#reconnect(error, expected && this.#failures === 0);
  }

  /** Reconnects after an increasing, random delay, so that clients do not all reconnect at once. */
  #reconnect(error, atOnce = false) {
    const delay = Math.random() * Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** this.#failures++);
    this.#retryTimer = setTimeout(() => this.#open(), atOnce ? 0 : delay);
    this.#setState("connecting", error);
  }

  #stop(error) {
    this.#attempt++;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#failures = 0;
    this.#release();
    this.#setState("disconnected", error);
  }

  #release() {
    this.#connection?.close();
    this.#connection = null;
  }

  #setState(state, error) {
    this.#state = state;
    this.#notify("onStateChange", state, error);
  }

  /** Calls a callback later: an exception is reported as uncaught and does not stop the client. */
  #notify(name, ...values) {
    queueMicrotask(() => this.#options[name]?.(...values));
  }
}
