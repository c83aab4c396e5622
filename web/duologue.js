/**
 * A client of Duologue without a user interface: it connects, resumes after a lost connection, sends commands
 * and HTTP requests, and keeps messages until the service has acknowledged them. It depends on nothing but
 * `WebSocket`, `fetch` and `crypto`, so it runs in a page, in a worker, and in Node.js 22 or later. Copy this
 * file into an app and import it. `docs/live.md` describes the protocol, `openapi.yaml` the HTTP API, and
 * `messenger.js` is a complete example.
 *
 *     import { Client } from "./duologue.js";
 *
 *     const client = new Client({
 *       url: location.origin,
 *       getToken: () => tokenFromYourBackend(),
 *       onEvent: async (event) => {
 *         const startsAnew = event.type === "reset" || (event.type === "hello" && !client.cursor);
 *         const inbox = `/conversations/${encodeURIComponent(event.user)}`;
 *         if (startsAnew) await showInbox(await client.request("GET", inbox));
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
 * - No event is lost. The cursor moves on only after `onEvent` has succeeded. If `onEvent` throws, the client
 *   reconnects with the previous cursor, and the service repeats the event.
 * - An event may therefore arrive more than once. Events carry absolute values ("3 unread", never "one
 *   more"), and a message has its `seq`, so processing an event twice does no harm.
 * - A message given to `send` stays in the outbox until the service accepts or refuses it. After a lost
 *   connection it is sent again with the same `client_id`, so it is stored once. The service remembers it
 *   for 24 hours. Messages are sent one at a time, in the order of the calls.
 * - A refused message leaves the outbox and is reported once, by `onRefused`.
 * - The token is sent in a header only. A connection is opened with a single-use ticket, because browsers
 *   cannot set headers on a WebSocket and URLs end up in logs.
 *
 * @module duologue
 */

const PROTOCOL = "duologue.v1";
const HELLO_TIMEOUT_MS = 15_000;
const PING_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const SEND_RETRY_MS = 1000;
const MIN_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
const CLOSE_RESTART = 1012; // the process stops; another one takes over
const CLOSE_TOKEN_EXPIRED = 4401;
const CREDENTIAL_REFUSED = [400, 401, 403];
const TEMPORARY = [408, 429, 503];

/**
 * @typedef {object} Message
 * @property {number} seq  position in its conversation: 1, 2, 3, ... Order is `seq`, never time.
 * @property {string} id  a UUID
 * @property {string} from
 * @property {string} to
 * @property {string} body  empty in a deleted message
 * @property {string} sent_at  RFC 3339, as all times
 * @property {string} [edited_at]
 * @property {string} [deleted_at]
 * @property {number} [reply_to]  the `seq` of the message that this one answers
 * @property {object[]} [attachments]
 * @property {object} [metadata]
 * @property {string} [client_id]  that of the outbox item, from `message.created` on
 * @property {Object<string, string[]>} [reactions]  emoji to the users who reacted with it
 */

/**
 * A message in the outbox: a message to send, with the name that its events have too.
 * @typedef {object} OutboxItem
 * @property {string} client_id
 * @property {string} to
 * @property {string} body
 * @property {number} [reply_to]
 * @property {object[]} [attachments]
 * @property {object} [metadata]
 */

/**
 * What the service tells. `hello` is the first event of every connection. While `client.cursor` is still
 * empty, `hello` means that there is nothing to resume: read the inbox. `reset` means that the cursor is not
 * valid any more: read the inbox again. `conversation.changed` means: read that conversation again.
 *
 * `message.*` and `conversation.*` carry the members from `unread_count` to `unread_conversations`, with the
 * values that hold after the event. `hello` and `reset` carry the two totals.
 * @typedef {object} LiveEvent
 * @property {"hello"|"reset"|"message.created"|"message.updated"|"message.deleted"|"conversation.read"|
 *   "conversation.delivered"|"conversation.changed"|"presence.changed"|"typing"} type
 * @property {string} cursor
 * @property {string} [user]  `hello`: the user that the connection belongs to
 * @property {number} [heartbeat_s]  `hello`
 * @property {string} [peer]  every event but `hello` and `reset`
 * @property {Message} [message]  `message.*`
 * @property {boolean} [online]  `presence.changed`
 * @property {?string} [last_seen]  `presence.changed`
 * @property {number} [unread_count]  messages of the peer that the user has not read
 * @property {number} [last_seq]
 * @property {number} [read_seq]  how far the user has read
 * @property {number} [peer_read_seq]  how far the peer has read
 * @property {number} [peer_delivered_seq]  how far the peer's devices have received
 * @property {number} [total_unread_count]  what a badge shows
 * @property {number} [unread_conversations]
 * @property {number} [muted_unread_count]  those of the total that are in muted conversations
 */

/**
 * `connecting` lasts from `connect` or a lost connection until the `hello` has been processed.
 * @typedef {"disconnected"|"connecting"|"connected"} ConnectionState
 */

/**
 * @typedef {object} Options
 * @property {string} url  the address of the service, e.g. `location.origin`
 * @property {() => string|Promise<string>} [getToken]  returns the user's token. It is called for every
 *   request and every connection, so it should cache the token until shortly before its end. Without it no
 *   token is sent, which works only where the service runs without secrets.
 * @property {string} [user]  who to be where the service runs without secrets
 * @property {string} [cursor]  the cursor to resume from; only together with the state stored at that cursor
 * @property {(event: LiveEvent) => void|Promise<void>} onEvent  processes an event. It must not wait for
 *   `runExclusive`, which waits for it.
 * @property {(state: ConnectionState, error?: Error) => void} [onStateChange]  `error` is why the connection
 *   was lost or refused. The client becomes `disconnected` by itself if the credential is refused or belongs
 *   to another user than before (`USER_CHANGED`). Call `connect` once there is a valid one.
 * @property {(message: Message, item: OutboxItem) => void} [onSent]  the service stored the message
 * @property {(error: DuologueError, item: OutboxItem) => void} [onRefused]  the message will never be stored
 * @property {() => void} [onOutboxChange]
 * @property {OutboxStorage} [storage]  keeps the outbox across restarts; without it the outbox is in
 *   memory only
 */

/**
 * Keeps each user's outbox. `save` must not throw.
 * @typedef {object} OutboxStorage
 * @property {(user: string) => OutboxItem[]|Promise<OutboxItem[]>} load
 * @property {(user: string, items: OutboxItem[]) => void} save
 */

/**
 * Why something failed. `message` is written for people.
 */
export class DuologueError extends Error {
  /**
   * @param {{detail: string, code: string, status?: number, errors?: {pointer: string, detail: string}[]}}
   *   problem  a problem document (RFC 9457)
   * @param {ErrorOptions} [options]
   */
  constructor(problem, options) {
    super(problem.errors?.[0]?.detail ?? problem.detail, options);
    this.name = "DuologueError";
    /**
     * For programs: a code of the service, `DISCONNECTED`, `USER_CHANGED`, or `HTTP_ERROR` if something else
     * answered in place of the service.
     */
    this.code = problem.code;
    /** The HTTP status; 0 if the service did not answer. */
    this.status = problem.status ?? 0;
    /** The whole problem document. */
    this.problem = problem;
  }
}

/** The problem document of an answer, or one made from the status where a proxy answered with a page. */
function parseProblem(text, { status, statusText }) {
  try {
    return { ...JSON.parse(text), status };
  } catch {
    return { detail: statusText || `HTTP status ${status}`, code: "HTTP_ERROR", status };
  }
}

const disconnected = (detail, cause) => new DuologueError({ detail, code: "DISCONNECTED" }, { cause });

/** A user's connection to the service, one for each user and app. */
export class Client {
  /** @type {Options} */
  #options;
  /** @type {ConnectionState} */
  #state = "disconnected";
  #user = "";
  #cursor;
  /** @type {OutboxItem[]} */
  #outbox = [];
  #flushing = false;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve(); // settles after everything that `runExclusive` was given
  /** @type {?WebSocket} */
  #socket = null;
  #attempt = 0; // counts attempts to connect, so that a late answer to an earlier one is ignored
  #failures = 0; // attempts since the last `hello`
  #retryTimer = 0;
  #pingTimer = 0;
  #lastRef = 0;
  #pending = new Map(); // ref -> the promise of its answer

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#cursor = options.cursor ?? "";
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
    return [...this.#outbox];
  }

  /**
   * Connects and stays connected until `disconnect`. If it already waits to reconnect, it tries now; if it is
   * connected, it checks that the connection still works. Call it also when the network returns or the app
   * comes to the foreground.
   */
  connect() {
    if (this.#socket) this.#ping();
    else if (this.#retryTimer) this.#open();
    else if (this.#state === "disconnected") {
      this.#setState("connecting");
      this.#open();
    }
  }

  /** Closes the connection and stays disconnected. The outbox and the cursor stay. */
  disconnect() {
    this.#stop();
  }

  /**
   * Puts a message into the outbox, to be sent now or once connected.
   * @param {{to: string, body: string, reply_to?: number, attachments?: object[], metadata?: object,
   *   client_id?: string}} message  `client_id` is unique in its conversation; made up if left out
   * @returns {OutboxItem} what `outbox` holds and `onSent` or `onRefused` will name
   */
  send(message) {
    // `crypto.randomUUID` is missing in pages that are served over plain HTTP.
    const client_id = crypto.getRandomValues(new Uint32Array(4)).join("-");
    const item = { client_id, ...message };
    this.#setOutbox([...this.#outbox, item]);
    this.#flush();
    return item;
  }

  /**
   * Sends a command over the WebSocket: `read`, `delivered` or `typing`.
   * @param {string} type
   * @param {object} [members]  what docs/live.md lists for the command
   * @returns {Promise<any>} the acknowledgement
   * @throws {DuologueError} `DISCONNECTED` if there is no connection or it is lost before the answer, so that
   *   the command may or may not have been carried out
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
   * @param {string} path  with its query, e.g. `/conversations/alice?limit=20`
   * @param {object} [body]
   * @returns {Promise<any>} the body of the answer
   * @throws {DuologueError} `DISCONNECTED` if the service cannot be reached
   */
  async request(method, path, body) {
    const token = await this.#options.getToken?.();
    const headers = new Headers();
    if (token) headers.set("Authorization", `Bearer ${token}`);
    if (body) headers.set("Content-Type", "application/json");
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const init = { method, headers, signal, body: body && JSON.stringify(body) };
    let response, text;
    try {
      response = await fetch(this.#options.url + path, init);
      text = await response.text();
    } catch (cause) {
      throw disconnected("The service cannot be reached.", cause);
    }
    if (response.ok) return text ? JSON.parse(text) : {};
    throw new DuologueError(parseProblem(text, response));
  }

  /**
   * Runs `work` between two events: no event is processed until it has settled. Use it to read state and put
   * it into place, so that an older answer never overwrites a newer event.
   * @template T
   * @param {() => T|Promise<T>} work
   * @returns {Promise<T>}
   */
  runExclusive(work) {
    const result = this.#queue.then(() => work());
    this.#queue = result.catch(() => {});
    return result;
  }

  // --- The connection -----------------------------------------------------------------------------------

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
    this.#flush();
  }

  /** Learns the user from the first `hello`. One user's outbox must not go out as another's. */
  async #identify(user) {
    if (!this.#user) {
      const stored = (await this.#options.storage?.load(user)) ?? [];
      this.#user = user;
      this.#setOutbox([...stored, ...this.#outbox]);
    }
    if (user === this.#user) return true;
    this.#stop(new DuologueError({ code: "USER_CHANGED", detail: `This token belongs to ${user}.` }));
    return false;
  }

  /** Asks for an answer, because a network can fail without closing the connection. */
  async #ping() {
    const socket = this.#socket;
    const timer = setTimeout(() => this.#lose(socket), PING_TIMEOUT_MS);
    await this.command("ping").catch(() => {});
    clearTimeout(timer);
  }

  #lose(socket, closeCode, error = disconnected("The connection was lost.")) {
    if (socket !== this.#socket) return;
    this.#release();
    const expected = closeCode === CLOSE_RESTART || closeCode === CLOSE_TOKEN_EXPIRED;
    this.#reconnect(error, expected && this.#failures === 0);
  }

  /** Reconnects after a growing, random delay, so that clients do not all return at the same moment. */
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

  // --- The outbox ---------------------------------------------------------------------------------------

  /** Sends the outbox, one message after the other. Each connection calls this after its `hello`. */
  async #flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      let answered = true;
      while (answered && this.#state === "connected" && this.#outbox.length > 0) {
        answered = await this.#deliver(this.#outbox[0]);
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** Sends a message and returns whether there was an answer. A temporary refusal leaves it in the outbox. */
  async #deliver(item) {
    const { message, error } = await this.command("send", item).catch((error) => ({ error }));
    if (error?.code === "DISCONNECTED") return false;
    if (TEMPORARY.includes(error?.status)) {
      await new Promise((resolve) => setTimeout(resolve, SEND_RETRY_MS));
      return true;
    }
    this.#setOutbox(this.#outbox.slice(1));
    if (error) this.#notify("onRefused", error, item);
    else this.#notify("onSent", message, item);
    return true;
  }

  #setOutbox(items) {
    this.#outbox = items;
    if (this.#user) this.#options.storage?.save(this.#user, items);
    this.#notify("onOutboxChange");
  }

  /** Calls a callback on its own, so that what it throws is reported as uncaught and stops nothing here. */
  #notify(name, ...values) {
    queueMicrotask(() => this.#options[name]?.(...values));
  }
}
