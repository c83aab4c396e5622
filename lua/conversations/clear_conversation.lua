#!lua flags=allow-oom
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/rate"
--- @include "lib/receipt"
-- Hides the messages that a conversation has now from the user, and marks them as read. The peer is not
-- told, and receives no read receipt.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.changed
-- Errors   RATE_LIMITED  the bucket is empty

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
local interval_us        = ARGV[4]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[5]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local reader = conversation.user
if tonumber(conversation.seq) <= tonumber(reader.cleared_up_to) then
  return commit_state(conversation, nil, charge)
end
reader.cleared_up_to = conversation.seq
read_everything(reader, conversation.seq)
return commit_state(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, charge)
