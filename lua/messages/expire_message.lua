#!lua flags=allow-oom
--- @include "lib/archive_change"
--- @include "lib/commit"
--- @include "lib/message"
--- @include "lib/tombstone"
-- Deletes a message of the user for both users because it has expired. A message that no longer exists, or is
-- already deleted, is only removed from the schedule.
--
-- Returns  expired  1 if it was deleted; if it is in the archive and something is missing, what the caller is to read or
--                   to write, see lib/archive and lib/archive_change
-- Changes  message.deleted

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
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local seq                = ARGV[3]  -- integer seq of the message
local id                 = ARGV[4]  -- string  id of the message
local held               = ARGV[5]  -- string  what the caller has of the archive, see lib/archive; empty for nothing

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, '')
local archived, entry = parse_held(held, garbage), message_entry(user, peer, seq, id)
local message, missing = stored_message(conversation, seq, archived)
if missing then return commit(conversation, nil, nil, missing) end
if not is_due(conversation, message, user, id, schedule, entry) then
  redis.call('ZREM', schedule, entry)
  return commit(conversation, nil, nil, 0)
end
local expires_at = string.match(message, MESSAGE_EXPIRY)
missing = missing_object(conversation, seq, make_tombstone(message, expires_at), archived)
if missing then return commit(conversation, nil, nil, missing) end
local tombstone = delete_stored(conversation, seq, message, expires_at, archived)
redis.call('ZREM', schedule, entry)
return commit(conversation, {kind = 'message.deleted', message = tombstone, expires = true}, nil, 1)
