#!lua
--- @include "lib/commit_room"
--- @include "lib/idempotency"
--- @include "lib/rate"
--- @include "lib/room_access"
--- @include "lib/schedule"
-- Appends a message to a room. Who writes has read the room.
--
-- Returns  seq of the message; its current JSON if the idempotency key shows that it was sent before; if that
--          message is in the archive, what the caller is to read first, see lib/archive
-- Changes  message.created
-- Errors   REPLY_TO_NOT_FOUND      the message that it replies to does not exist
--          IDEMPOTENCY_KEY_REUSED  the key came with another message before
--          MESSAGE_NOT_FOUND       it was sent before and dropped since
--          ROOM_NOT_FOUND          there is no such room, or the user may not know of it
--          NOT_A_MEMBER            the user is not a member of the room
--          RATE_LIMITED            the bucket is empty

local messages    = KEYS[1]  -- list    messages of the room as JSON, newest first
local meta        = KEYS[2]  -- hash    everything else of the room, see lib/room
local members     = KEYS[3]  -- hash    members of the room, see lib/room
local room_events = KEYS[4]  -- stream  events of the room; also the name of the channel
local outbox      = KEYS[5]  -- zset    outbox of the partition, see lib/outbox
local lease       = KEYS[6]  -- string  who files the room's events now, see lib/lease
local feed        = KEYS[7]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local idempotency = KEYS[8]  -- string  what the idempotency key produced, see lib/idempotency; none if nothing follows
local schedule    = KEYS[9]  -- zset    schedule of the partition, see lib/schedule; none with the key before
local bucket      = KEYS[10] -- string  rate limit bucket; none if nobody is charged
local name        = ARGV[1]  -- string  name of the room
local user        = ARGV[2]  -- string  user id
local retention   = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local leader      = ARGV[4]  -- string  under which name the caller files events
local json        = ARGV[5]  -- string  JSON of the message from its second member on
local reply_to    = ARGV[6]  -- integer seq of the message it answers; empty or none if it answers none
local fingerprint = ARGV[7]  -- string  digest of what was sent; empty or none without an idempotency key
local expires_ms  = ARGV[8]  -- integer when the message expires, in milliseconds since 1970; empty or none if it does not
local held        = ARGV[9]  -- string  what the caller has of the archive, see lib/archive; empty or none for nothing
local interval_us = ARGV[10] -- integer microseconds in which the bucket gets a token back; none if nobody is charged
local burst       = ARGV[11] -- integer tokens of a full bucket

-- The rate limit does not apply to a message that is already stored.
local retryable = fingerprint and fingerprint ~= ''
local known, known_seq, known_id
if retryable then known, known_seq, known_id = known_send(idempotency) end
local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal and (not known or known ~= fingerprint) then return refusal end
local room = load_room(messages, meta, members, room_events, outbox, lease, feed, name, user, retention)
local refused = refuse_stranger(room)
if refused then return refused end
local sender = room.member
if known then
  local erased_up_to = redis.call('HGET', meta, ERASED_FIELD .. user) or 0
  local archived = parse_held(held)
  local stored, why = find_sent(room, idempotency, known, known_seq, known_id, fingerprint, erased_up_to, archived)
  if stored then return commit_room(room, nil, leader, charge, stored) end
  if why or refusal then return why or refusal end
end
if reply_to and reply_to ~= '' then
  if tonumber(reply_to) < oldest_visible_in(room, sender) or tonumber(reply_to) > tonumber(room.seq) then
    return redis.error_reply('REPLY_TO_NOT_FOUND There is no such message.')
  end
end

local seq = string.format('%d', room.seq + 1)
local message = '{"seq":' .. seq .. ',' .. json
redis.call('LPUSH', messages, message)
if retryable then remember_send(idempotency, fingerprint, seq, json) end
if expires_ms and expires_ms ~= '' then
  redis.call('ZADD', schedule, expires_ms, message_entry(user, name, seq, (string.match(json, MESSAGE_ENVELOPE))))
end
room.seq, sender.read = seq, seq
redis.call('HSET', members, user, format_member(sender))
return commit_room(room, {kind = 'message.created', message = message, active = true}, leader, charge, tonumber(seq))
