#!lua
--- @include "lib/commit"
--- @include "lib/idempotency"
--- @include "lib/rate"
--- @include "lib/schedule"
-- Appends a message to its conversation and counts it as unread for the peer. Both users' conversations are
-- no longer archived.
--
-- Returns  seq of the message; its current JSON if the idempotency key shows that it was sent before; if that
--          message is in the archive, what the caller is to read first, see lib/archive
-- Changes  message.created
-- Errors   REPLY_TO_NOT_FOUND      the message that it replies to does not exist
--          BLOCKED                 the peer has blocked the user
--          IDEMPOTENCY_KEY_REUSED  the key came with another message before
--          MESSAGE_NOT_FOUND       it was sent before and dropped since
--          RATE_LIMITED            the bucket is empty

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local idempotency        = KEYS[10] -- string  what the idempotency key produced: fingerprint|seq|id; none if nothing follows
local bucket             = KEYS[11] -- string  rate limit bucket; none, or any key, if nobody is charged
local schedule           = KEYS[12] -- zset    schedule of the partition, see lib/schedule; none if the message does not expire
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local json               = ARGV[4]  -- string  JSON of the message from its second member on
local reply_to           = ARGV[5]  -- integer seq of the message it answers; empty or none if it answers none
local fingerprint        = ARGV[6]  -- string  digest of what was sent; empty or none without an idempotency key
local interval_us        = ARGV[7]  -- integer microseconds in which the bucket gets a token back; empty or none if nobody is charged
local burst              = ARGV[8]  -- integer tokens of a full bucket
local expires_ms         = ARGV[9]  -- integer when the message expires, in milliseconds since 1970; empty or none if it does not
local held               = ARGV[10] -- string  what the caller has of the archive, see lib/archive; empty or none for nothing

-- The rate limit does not apply to a message that is already stored.
local retryable = fingerprint and fingerprint ~= ''
local known, known_seq, known_id
if retryable then known, known_seq, known_id = known_send(idempotency) end
local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal and (not known or known ~= fingerprint) then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local newest = tonumber(conversation.seq)
if known then
  local erased_up_to = redis.call('HGET', meta, ERASED_FIELD .. user) or 0
  local stored, refused =
    find_sent(conversation, idempotency, known, known_seq, known_id, fingerprint, erased_up_to, parse_held(held))
  if stored then return commit(conversation, nil, charge, stored) end
  if refused or refusal then return refused or refusal end
end
if has_flag(conversation.peer.flags, BLOCKED) then
  return redis.error_reply('BLOCKED The recipient has blocked the sender.')
end
if reply_to and reply_to ~= '' then
  if tonumber(reply_to) < oldest_visible(conversation, conversation.user) or tonumber(reply_to) > newest then
    return redis.error_reply('REPLY_TO_NOT_FOUND There is no such message.')
  end
end

local seq = string.format('%d', newest + 1)
local message = '{"seq":' .. seq .. ',' .. json
redis.call('LPUSH', messages, message)
if retryable then remember_send(idempotency, fingerprint, seq, json) end
if expires_ms and expires_ms ~= '' then
  redis.call('ZADD', schedule, expires_ms, message_entry(user, peer, seq, (string.match(json, MESSAGE_ENVELOPE))))
end
conversation.seq = seq
conversation.user.writes = true
conversation.peer.unread = string.format('%d', conversation.peer.unread + 1)
local change = {kind = 'message.created', message = message, active = 'now'}
if conversation.user.flags ~= NO_FLAGS or conversation.peer.flags ~= NO_FLAGS then
  for _, user in ipairs({conversation.user, conversation.peer}) do
    if has_flag(user.flags, ARCHIVED) then
      user.flags, change.marks = with_flag(user.flags, ARCHIVED, '0'), 'both'
    end
  end
end
return commit(conversation, change, charge, newest + 1)
