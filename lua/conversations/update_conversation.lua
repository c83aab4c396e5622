#!lua
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/flags"
--- @include "lib/metadata"
--- @include "lib/rate"
-- Changes whether a conversation is archived or pinned for the user, and the user's metadata. The peer is
-- not told.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.changed
-- Errors   CONVERSATION_CHANGED  the metadata has changed since it was read
--          TOO_MANY_PINNED       the user has the maximum number of pinned conversations
--          RATE_LIMITED          the bucket is empty

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local bucket             = KEYS[10] -- string  rate limit bucket; none if nobody is charged
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local archived           = ARGV[4]  -- flag    1 or 0; empty to leave it as it is
local pinned             = ARGV[5]  -- flag    1 or 0; empty to leave it as it is
local metadata           = ARGV[6]  -- string  JSON object; null to remove it, empty to leave it as it is
local old_metadata       = ARGV[7]  -- string  JSON that the new metadata was made from; empty for none, * for any
local pin_limit          = ARGV[8]  -- integer maximum number of pinned conversations of a user, see lua/inbox/reserve_pin.lua for a cluster
local interval_us        = ARGV[9]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[10] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local owner = conversation.user
local stored = metadata_of(conversation, owner)
if old_metadata ~= '*' and old_metadata ~= stored then
  return redis.error_reply('CONVERSATION_CHANGED The metadata has changed since it was read.')
end
local flags = owner.flags
if archived ~= '' then flags = with_flag(flags, ARCHIVED, archived) end
if pinned ~= '' then flags = with_flag(flags, PINNED, pinned) end
if metadata ~= '' then flags = with_flag(flags, HAS_METADATA, metadata == 'null' and '0' or '1') end
local pins = has_flag(flags, PINNED) ~= has_flag(owner.flags, PINNED)
if pins and pinned == '1' and not conversation.outbox
  and tonumber(redis.call('HGET', user_conversations, PINNED_FIELD) or 0) >= tonumber(pin_limit) then
  return redis.error_reply('TOO_MANY_PINNED The user has the maximum number of pinned conversations.')
end
local sets = metadata ~= '' and metadata ~= 'null' and metadata ~= stored
if flags == owner.flags and not sets then return commit_state(conversation, nil, charge) end

owner.flags = flags
if sets then
  redis.call('HSET', meta, METADATA_FIELD .. user, metadata)
elseif metadata == 'null' then
  redis.call('HDEL', meta, METADATA_FIELD .. user)
end
return commit_state(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, charge)
