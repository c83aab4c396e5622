#!lua flags=allow-oom
--- @include "lib/commit"
--- @include "lib/count"
--- @include "lib/metadata"
--- @include "lib/page"
--- @include "lib/rate"
--- @include "lib/receipt"
-- Reads a page of a conversation and the user's unread messages that are not in the archive, and marks the
-- conversation as read, unless the page needs the archive.
--
-- Returns  [entry, history, unread, next_before, next_after, metadata, archived]  the entry before this read, see
--          lib/row; messages, newest first; the cursors, nil at an end; the user's metadata as JSON, or empty; nil or
--          what the page needs of the archive, see lib/page
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
local limit              = ARGV[4]  -- integer maximum number of messages of history
local range              = ARGV[5]  -- string  range of the page: newest, before, after, around or around_time
local place              = ARGV[6]  -- string  seq or time (RFC 3339) of the range; empty for newest
local peek               = ARGV[7]  -- flag    1 marks nothing as read
local unread_limit       = ARGV[8]  -- integer maximum number of unread messages to return
local bytes              = ARGV[9]  -- integer maximum bytes of the page, and of the unread messages
local interval_us        = ARGV[10] -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[11] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local reader = conversation.user
local oldest = oldest_visible(conversation, reader)
local history, next_before, next_after, archived = page_of(conversation, range, place, limit, oldest, bytes)

local wanted = math.min(reader.unread, unread_limit)
local unread = newest_messages(conversation, peer, math.max(reader.read + 1, oldest), wanted, tonumber(bytes))
local reply = {
  entry_of(conversation, reader, conversation.peer), history, unread, next_before, next_after,
  metadata_of(conversation, reader), archived,
}
if peek == '1' or archived then return commit(conversation, nil, charge, reply) end
local tells = tell_read(reader, conversation.peer, conversation.seq)
if not tells and reader.read == conversation.seq and reader.unread == '0' then
  return commit(conversation, nil, charge, reply)
end
read_everything(reader, conversation.seq)
return commit(conversation, {kind = 'conversation.read', message = '', marks = 'user', private = not tells}, charge, reply)
