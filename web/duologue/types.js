/**
 * The types of the client. This module has no code: editors and the other modules read its comments.
 *
 * @module duologue/types
 */

/**
 * @typedef {object} Message
 * @property {number} seq  the position in the conversation: 1, 2, 3, ... Messages are ordered by `seq`.
 * @property {string} id  a UUID
 * @property {string} from
 * @property {string} to  a user, or a room as `room:general`
 * @property {string} body  empty in a deleted message
 * @property {string} sent_at  RFC 3339, like all times
 * @property {string} [edited_at]
 * @property {string} [deleted_at]
 * @property {string} [expires_at]  when the message is deleted for everyone
 * @property {number} [reply_to]  the `seq` of the message that this one replies to
 * @property {object[]} [attachments]
 * @property {object} [metadata]
 * @property {string} [client_id]  the `client_id` of the outbox item
 * @property {Object<string, string[]>} [reactions]  the users who reacted, by emoji
 * @property {string[]} [mentions]  users, in rooms only
 */

/**
 * A room.
 * @typedef {object} Room
 * @property {string} room  its id; the peer of its conversation is `room:` and the id
 * @property {?string} title
 * @property {"open"|"invited"} join  whether anyone may join, or only whom an admin adds
 * @property {"all"|"joined"} history  what a new member sees: all messages, or those from joining on
 * @property {?object} metadata
 * @property {number} member_count
 * @property {number} last_seq
 * @property {string} created_at
 * @property {?{role: string, read_seq: number, joined_at: string}} membership  of the user; null for others
 */

/**
 * A member of a room. A banned user has a record and no access.
 * @typedef {object} Member
 * @property {string} user
 * @property {"member"|"admin"|"banned"} role
 * @property {number} read_seq
 * @property {string} joined_at
 */

/**
 * A message in the outbox.
 * @typedef {object} OutboxItem
 * @property {string} client_id  also in the events of the message
 * @property {string} to  a user, or a room as `room:general`
 * @property {string} body
 * @property {number} [reply_to]
 * @property {object[]} [attachments]
 * @property {object} [metadata]
 * @property {number} [expires_in]  seconds until the message is deleted for everyone
 * @property {string[]} [mentions]
 */

/**
 * An event of the service.
 *
 * `hello` is the first event of every connection. While `client.cursor` is still empty, there is nothing to
 * resume: read the inbox. `reset` means that the cursor is no longer valid: read the inbox again.
 * `conversation.changed` means: read that conversation again.
 *
 * `message.*`, `conversation.*` and `room.*` have all members from `unread_count` to `muted_unread_count`,
 * with their values after the event. `hello` and `reset` have the three totals.
 *
 * `room.joined` and `room.left` tell the members of a room that `user` is in or out. Whoever is out gets
 * no more events of it.
 * @typedef {object} LiveEvent
 * @property {"hello"|"reset"|"message.created"|"message.updated"|"message.deleted"|"conversation.read"|
 *   "conversation.delivered"|"conversation.changed"|"room.joined"|"room.left"|"presence.changed"|
 *   "typing"} type
 * @property {string} cursor
 * @property {string} [user]  `hello`: the user of the connection; `room.*`: who joined or left
 * @property {number} [heartbeat_s]  `hello`
 * @property {string} [peer]  every event except `hello` and `reset`
 * @property {Message} [message]  `message.*`
 * @property {boolean} [online]  `presence.changed`
 * @property {?string} [last_seen]  `presence.changed`
 * @property {number} [unread_count]  number of unread messages of the peer
 * @property {number} [last_seq]  the newest message
 * @property {number} [read_seq]  the last message that the user has read
 * @property {number} [peer_read_seq]  the last message that the peer has read
 * @property {number} [peer_delivered_seq]  the last message that a device of the peer has received
 * @property {number} [total_unread_count]  number of unread messages in all conversations, for a badge
 * @property {number} [unread_conversations]
 * @property {number} [muted_unread_count]  the part of the total that is in muted conversations
 */

/**
 * An event of a room that the client watches. `watched` is the first one, unless there is a cursor to resume
 * from: read the room. `conversation.changed` means: read the room again. `unwatched` is the last event of a
 * room that was deleted, or to which the user has no access any more.
 * @typedef {object} RoomEvent
 * @property {"watched"|"message.created"|"message.updated"|"message.deleted"|"conversation.changed"|
 *   "room.joined"|"room.left"|"typing"|"unwatched"} type
 * @property {string} room  its id
 * @property {string} [cursor]
 * @property {Message} [message]  `message.*`
 * @property {string} [user]  `room.*`: who joined or left; `typing`: who types
 * @property {{code: string, detail: string}} [problem]  `unwatched`
 */

/**
 * `connecting` lasts from `connect` or a lost connection until `hello` has been processed.
 * @typedef {"disconnected"|"connecting"|"connected"} ConnectionState
 */

/**
 * @typedef {object} Options
 * @property {string} url  the address of the service, e.g. `location.origin`
 * @property {() => string|Promise<string>} [getToken]  returns the token of the user. It is called for every
 *   request and every connection, so it should cache the token until shortly before it expires. Without
 *   it no token is sent, which works only with a service without secrets.
 * @property {string} [user]  the user id, for a service without secrets
 * @property {string} [cursor]  the cursor to resume from, with the state that the app stored at that cursor
 * @property {(event: LiveEvent) => void|Promise<void>} onEvent  processes an event. It must not wait for
 *   `runExclusive`, which waits for it.
 * @property {(event: RoomEvent) => void|Promise<void>} [onRoomEvent]  processes an event of a watched room
 * @property {(error: import("./error.js").DuologueError, room: string) => void} [onWatchRefused]  the service
 *   has refused to let the user watch the room, which is not tried again
 * @property {(state: ConnectionState, error?: import("./error.js").DuologueError) => void} [onStateChange]
 *   `error` is the reason why the connection was lost or refused. The client becomes `disconnected` by itself
 *   if the credential is refused or belongs to another user than before (`USER_CHANGED`), or if newer
 *   connections of the user took its place (`REPLACED`). Call `connect` as soon as there is a valid one, or
 *   when the user returns.
 * @property {(message: Message, item: OutboxItem) => void} [onSent]  the service has stored the message
 * @property {(error: import("./error.js").DuologueError, item: OutboxItem) => void} [onRefused]  the service
 *   has refused the message, which is not sent again
 * @property {() => void} [onOutboxChange]
 * @property {OutboxStorage} [storage]  keeps the outbox across restarts. By default it is only in memory.
 */

/**
 * Stores the outbox of each user. `save` must not throw.
 * @typedef {object} OutboxStorage
 * @property {(user: string) => OutboxItem[]|Promise<OutboxItem[]>} load
 * @property {(user: string, items: OutboxItem[]) => void} save
 */

export {};
