#!lua
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/count"
--- @include "lib/rate"
-- Marks a conversation as unread from a message on. The read receipt that the peer has stays.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.changed
-- Errors   TOO_FAR_BACK  the messages are too many to count in one call
--          RATE_LIMITED  the bucket is empty

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
local seq                = ARGV[4]  -- integer seq of the first message to mark
local interval_us        = ARGV[5]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[6]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local reader = conversation.user
local newest, read = tonumber(conversation.seq), tonumber(reader.read)
local from = math.max(tonumber(seq), oldest_visible(conversation, reader))
if from > read or from > newest then return commit_state(conversation, nil, charge) end
local count, searched = count_messages(conversation, peer, newest, from, 1)
if searched > from then
  return redis.error_reply('TOO_FAR_BACK Too many messages follow this one to mark them as unread.')
end

reader.unread = string.format('%d', count)
reader.read = string.format('%d', from - 1)
return commit_state(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, charge)
