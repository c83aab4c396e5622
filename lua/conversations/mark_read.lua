#!lua flags=allow-oom
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/count"
--- @include "lib/rate"
--- @include "lib/receipt"
-- Marks a conversation as read up to a message. Only moves forward, and never past the end. If too many
-- messages would have to be counted, it marks a part of them; the entry contains up to which one.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.read
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
local seq                = ARGV[4]  -- integer seq up to which to mark
local private            = ARGV[5]  -- flag    1 does not tell the peer
local interval_us        = ARGV[6]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[7]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local reader = conversation.user
local newest, read = tonumber(conversation.seq), tonumber(reader.read)
local target = math.min(tonumber(seq), newest)
local advances = target > read or target == newest and reader.unread ~= '0'
if target == newest then
  read_everything(reader, conversation.seq)
elseif advances then
  -- Counts from the nearer end. If it is far from both, the mark moves forward in several calls.
  local first, left = math.max(read + 1, oldest_visible(conversation, reader)), tonumber(reader.unread)
  local count, searched
  if first <= target and newest - target < target - first then
    count, searched = count_messages(conversation, peer, newest, target + 1, 0.25)
    if searched > target + 1 then count = nil end
  end
  if count then
    left = count
  elseif first <= target then
    count, target = count_messages(conversation, peer, first, target, 0.75)
    left = left - count
  end
  reader.unread, reader.read = string.format('%d', left), string.format('%d', target)
end
local tells = private ~= '1' and tell_read(reader, conversation.peer, string.format('%d', target))
if not advances and not tells then return commit_state(conversation, nil, charge) end
return commit_state(conversation, {kind = 'conversation.read', message = '', marks = 'user', private = not tells}, charge)
