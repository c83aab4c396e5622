/**
 * The requests for rooms. Each resolves with the body of the response.
 *
 * @module duologue/rooms
 */

/** @typedef {import("./types.js").Room} Room */
/** @typedef {import("./types.js").Member} Member */

/** What the name of a room begins with, where it is the peer of a conversation. */
const PREFIX = "room:";

/** The `peer` of a room, which is also the `to` of its messages. */
export const roomPeer = (room) => PREFIX + room;

export const isRoom = (peer) => peer.startsWith(PREFIX);

/** The room of a `peer`. */
export const roomOf = (peer) => peer.slice(PREFIX.length);

const roomPath = (room) => `/rooms/${encodeURIComponent(room)}`;

const memberPath = (room, user) => `${roomPath(room)}/members/${encodeURIComponent(user)}`;

export class Rooms {
  #client;
  #namesUser;

  /**
   * @param {import("../duologue.js").Client} client
   * @param {boolean} namesUser  whether requests name the user, which no token does
   */
  constructor(client, namesUser) {
    this.#client = client;
    this.#namesUser = namesUser;
  }

  /**
   * Joins a room. If there is none, creates an open one, whose admin is the user.
   * @param {string} room
   */
  async joinRoom(room) {
    const join = () => this.setMember(room, this.#client.user);
    try {
      return await join();
    } catch (error) {
      if (error.code !== "ROOM_NOT_FOUND") throw error;
      const isNew = await this.#createRoom(room);
      if (!isNew) return join();
    }
  }

  /** @returns {Promise<{}>} */
  leaveRoom(room) {
    return this.removeMember(room, this.#client.user);
  }

  /** @returns {Promise<Room>} */
  readRoom(room) {
    return this.#client.request("GET", roomPath(room) + this.#userQuery());
  }

  /**
   * Creates a room, or replaces its settings: those that are absent are reset. Removes no members.
   * @param {string} room
   * @param {{title?: string, join?: "open"|"invited", history?: "all"|"joined", metadata?: object,
   *   members?: string[]}} settings
   * @returns {Promise<Room>}
   */
  setRoom(room, settings) {
    return this.#client.request("PUT", roomPath(room), settings);
  }

  deleteRoom(room) {
    return this.#client.request("DELETE", roomPath(room));
  }

  /** @returns {Promise<Member[]>} all members */
  async listMembers(room) {
    const members = [];
    for (let after = ""; after !== null; ) {
      const query = `?limit=200${after && `&after=${encodeURIComponent(after)}`}`;
      const page = await this.#client.request("GET", `${roomPath(room)}/members${query}`);
      members.push(...page.members);
      after = page.next_after;
    }
    return members;
  }

  /**
   * Adds a member or changes its role.
   * @param {string} room
   * @param {string} user
   * @param {"member"|"admin"|"banned"} [role]
   * @returns {Promise<Member>}
   */
  setMember(room, user, role) {
    return this.#client.request("PUT", memberPath(room, user), role ? { role } : {});
  }

  removeMember(room, user) {
    return this.#client.request("DELETE", memberPath(room, user));
  }

  /** Returns whether there was no such room. */
  async #createRoom(room) {
    const settings = { join: "open", ...(this.#namesUser && { admins: [this.#client.user] }) };
    try {
      await this.#client.request("PUT", roomPath(room), settings, { "If-None-Match": "*" });
      return true;
    } catch (error) {
      if (error.code === "PRECONDITION_FAILED") return false;
      throw error;
    }
  }

  #userQuery() {
    return this.#namesUser ? `?user=${encodeURIComponent(this.#client.user)}` : "";
  }
}
