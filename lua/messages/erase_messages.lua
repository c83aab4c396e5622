#!lua
--- @include "lib/commit"
--- @include "lib/erase_part"
-- Replaces the user's messages in a part of a conversation by tombstones, and messages of the peer by the
-- same without the user's reactions, unless they have changed since they were read. Messages that the peer
-- had not read no longer count.
--
-- Returns  [erased, missed]  messages that became tombstones; replacements that were not made
-- Changes  conversation.changed

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
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local low                = ARGV[4]  -- integer seq of the oldest message of the part
local high               = ARGV[5]  -- integer seq of the newest message of the part
local deleted_at         = ARGV[6]  -- string  time, RFC 3339
-- Then for each message to replace: its seq, the JSON as it was read, and the JSON to replace it by
local replaced           = {unpack(ARGV, 7)}

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
-- Some have moved to the archive since they were read.
if archive_of(conversation) and tonumber(low) < conversation.hot_from then return commit(conversation, nil, nil, {0, 1}) end
local missed = replace_unchanged(conversation, replaced)
local erased = erase_part(conversation, user, low, high, deleted_at, schedule, delete_stored)
local changed = erased > 0 or #replaced > 3 * missed
return commit(conversation, changed and {kind = 'conversation.changed', message = ''}, nil, {erased, missed})
