#!lua
--- @include "lib/archive_change"
--- @include "lib/commit"
-- Replaces a message if it has not changed since it was read (compare and swap). The new JSON is made in
-- Rust, which parses JSON exactly.
--
-- Returns  message  JSON; if it is in the archive and something is missing, what the caller is to read or to write,
--                   see lib/archive and lib/archive_change
-- Changes  message.updated
-- Errors   MESSAGE_NOT_FOUND  the retention drops it in this step
--          MESSAGE_CHANGED    it has changed since it was read
--          BLOCKED            the peer has blocked the user, and the change shows something new

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local garbage            = KEYS[10] -- zset    objects of the partition to delete -> when, in ms
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local seq                = ARGV[4]  -- integer seq of the message
local old                = ARGV[5]  -- string  JSON of the message as it was read
local new                = ARGV[6]  -- string  JSON to replace it by
local adds               = ARGV[7]  -- flag    1 if it shows the peer something new, 0 if it only takes away
local held               = ARGV[8]  -- string  what the caller has of the archive, see lib/archive; empty for nothing

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
if tonumber(seq) <= conversation.dropped_up_to then
  return redis.error_reply('MESSAGE_NOT_FOUND There is no such message.')
end
local archived = parse_held(held, garbage)
local stored, missing = stored_message(conversation, seq, archived)
if missing then return commit(conversation, nil, nil, missing) end
if stored ~= old then
  return redis.error_reply('MESSAGE_CHANGED The message has changed since it was read.')
end
if old == new then return commit(conversation, nil, nil, new) end
if adds == '1' and has_flag(conversation.peer.flags, BLOCKED) then
  return redis.error_reply('BLOCKED The peer has blocked the user.')
end
missing = missing_object(conversation, seq, new, archived)
if missing then return commit(conversation, nil, nil, missing) end
put_message(conversation, seq, new, archived)
return commit(conversation, {kind = 'message.updated', message = new}, nil, new)
