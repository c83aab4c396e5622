#!lua
--- @include "lib/archive_change"
--- @include "lib/commit"
--- @include "lib/message"
--- @include "lib/precondition"
--- @include "lib/rate"
--- @include "lib/tombstone"
-- Deletes a message for both users: a tombstone without content replaces it, so that seqs stay. If it was
-- unread, it no longer counts.
--
-- Returns  message  the tombstone as JSON; if it is in the archive and something is missing, what the caller is to read or to write,
--                   see lib/archive and lib/archive_change
-- Changes  message.deleted
-- Errors   MESSAGE_NOT_FOUND    there is no such message, or this user does not see it
--          FORBIDDEN            the peer wrote it
--          PRECONDITION_FAILED  it has none of the accepted versions
--          RATE_LIMITED         the bucket is empty

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local schedule           = KEYS[10] -- zset    schedule of the partition, see lib/schedule
local garbage            = KEYS[11] -- zset    objects of the partition to delete -> when, in ms
local bucket             = KEYS[12] -- string  rate limit bucket; none if nobody is charged
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local seq                = ARGV[4]  -- integer seq of the message
local deleted_at         = ARGV[5]  -- string  time, RFC 3339
local if_match           = ARGV[6]  -- string  accepted versions, see lib/precondition; empty or none for any
local held               = ARGV[7]  -- string  what the caller has of the archive, see lib/archive; empty for nothing
local interval_us        = ARGV[8]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[9]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local archived, message, missing = parse_held(held, garbage), nil, nil
if tonumber(seq) > conversation.dropped_up_to then
  message, missing = stored_message(conversation, seq, archived)
end
if missing then return commit(conversation, nil, charge, missing) end
local _, from, next_member = string.match(message or '', MESSAGE_HEAD)
-- Authors can delete their messages even after clearing them, but not messages of an erased user of the
-- same id.
if tonumber(seq) <= tonumber(conversation.user.cleared_up_to) then
  local own = from == user and tonumber(seq) > tonumber(redis.call('HGET', meta, ERASED_FIELD .. user) or 0)
  if not own then message = nil end
end
if not message then return redis.error_reply('MESSAGE_NOT_FOUND There is no such message.') end
if from ~= user then return redis.error_reply('FORBIDDEN Only its author can delete a message.') end
if not has_version(as_shown(message, deleted_at), if_match) then
  return redis.error_reply('PRECONDITION_FAILED The message has none of the versions in If-Match.')
end
if next_member == TOMBSTONE then return commit(conversation, nil, charge, message) end

missing = missing_object(conversation, seq, make_tombstone(message, deleted_at), archived)
if missing then return commit(conversation, nil, charge, missing) end
local tombstone, entry = delete_stored(conversation, seq, message, deleted_at, archived)
if entry then redis.call('ZREM', schedule, entry) end
return commit(conversation, {kind = 'message.deleted', message = tombstone}, charge, tombstone)
