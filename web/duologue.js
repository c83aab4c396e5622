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

import { DuologueError, disconnected } from "./duologue/error.js";
import { sendRequest } from "./duologue/http.js";
import { Outbox } from "./duologue/outbox.js";

/** @typedef {import("./duologue/types.js").Options} Options */
/** @typedef {import("./duologue/types.js").OutboxItem} OutboxItem */
/** @typedef {import("./duologue/types.js").ConnectionState} ConnectionState */

export { DuologueError };

const PROTOCOL = "duologue.v1";
const HELLO_TIMEOUT_MS = 15_000;
const PING_TIMEOUT_MS = 10_000;
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
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve(); // settles after all work that was passed to `runExclusive`
  /** @type {?WebSocket} */
  #socket = null;
  #attempt = 0; // number of attempts to connect, so that the late result of an earlier one is ignored
  #failures = 0; // failed attempts since the last `hello`
  #retryTimer = 0;
  #pingTimer = 0;
  #lastRef = 0;
  #pending = new Map(); // ref -> the promise of its answer

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#cursor = options.cursor ?? "";
    const connection = {
      isReady: () => this.#state === "connected",
      send: (item) => this.command("send", item),
      notify: (...call) => this.#notify(...call),
    };
    this.#outbox = new Outbox(connection, options.storage);
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
    if (this.#socket) this.#ping();
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
   * Sends a command over the WebSocket: `read`, `delivered` or `typing`.
   * @param {string} type
   * @param {object} [members]  the members of the command, see docs/live.md
   * @returns {Promise<any>} the acknowledgement
   * @throws {DuologueError} `DISCONNECTED` if there is no connection, or if it is lost before the answer.
   *   Then the command may or may not have been executed.
   */
  async command(type, members) {
    if (this.#socket?.readyState !== WebSocket.OPEN) throw disconnected("There is no connection.");
    const ref = String(++this.#lastRef);
    this.#socket.send(JSON.stringify({ ...members, type, ref }));
    return new Promise((resolve, reject) => this.#pending.set(ref, { resolve, reject }));
  }

  /**
   * Sends an HTTP request to the service.
   * @param {string} method
   * @param {string} path  the path with its query, e.g. `/conversations/alice?limit=20`
   * @param {object} [body]
   * @returns {Promise<any>} the body of the response
   * @throws {DuologueError} `DISCONNECTED` if the service cannot be reached
   */
  request(method, path, body) {
    return sendRequest(this.#options, method, path, body);
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
      const url = await this.#socketUrl();
      if (attempt === this.#attempt) this.#listen(new WebSocket(url, PROTOCOL));
    } catch (error) {
      if (attempt !== this.#attempt) return;
      if (CREDENTIAL_REFUSED.includes(error.status)) this.#stop(error);
      else this.#reconnect(error);
    }
  }

  async #socketUrl() {
    const { url, user } = this.#options;
    const { ticket } = await this.request("POST", "/tickets", user ? { user } : {});
    const query = new URLSearchParams({ ticket, ...(this.#cursor && { cursor: this.#cursor }) });
    return `${url.replace(/^http/, "ws")}/ws?${query}`;
  }

  #listen(socket) {
    this.#socket = socket;
    const helloTimer = setTimeout(() => this.#lose(socket), HELLO_TIMEOUT_MS);
    socket.onmessage = ({ data }) => {
      clearTimeout(helloTimer);
      this.#receive(JSON.parse(data), socket);
    };
    socket.onclose = ({ code }) => {
      clearTimeout(helloTimer);
      this.#lose(socket, code);
    };
  }

  #receive(frame, socket) {
    const pending = this.#pending.get(frame.ref);
    this.#pending.delete(frame.ref);
    if (frame.type === "ack") pending?.resolve(frame);
    else if (frame.type === "error") pending?.reject(new DuologueError(frame.problem));
    else this.runExclusive(() => this.#process(frame, socket)).catch((error) => this.#lose(socket, 0, error));
  }

  async #process(event, socket) {
    if (socket !== this.#socket) return;
    if (event.type === "hello" && !(await this.#identify(event.user))) return;
    await this.#options.onEvent(event);
    if (event.cursor) this.#cursor = event.cursor;
    if (event.type !== "hello" || socket !== this.#socket) return;
    this.#failures = 0;
    this.#pingTimer = setInterval(() => this.#ping(), event.heartbeat_s * 1000);
    this.#setState("connected");
    this.#outbox.flush();
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

  /** Requests an answer, because a network can fail without closing the connection. */
  async #ping() {
    const socket = this.#socket;
    const timer = setTimeout(() => this.#lose(socket), PING_TIMEOUT_MS);
    await this.command("ping").catch(() => {});
    clearTimeout(timer);
  }

  #lose(socket, closeCode, error = disconnected("The connection was lost.")) {
    if (socket !== this.#socket) return;
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
    this.#socket?.close();
    this.#socket = null;
    clearInterval(this.#pingTimer);
    for (const { reject } of this.#pending.values()) reject(disconnected("The connection was lost."));
    this.#pending.clear();
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
