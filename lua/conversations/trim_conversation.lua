#!lua
--- @include "lib/commit"
-- Drops messages that the retention no longer allows. Unread ones no longer count.
--
-- Returns  dropped  number of messages; [from, low, high, object] if the caller is to find out first which messages of
--                   the archive are too old, see old_segment of lib/retention
-- Changes  conversation.changed, if an unread one was among them

local messages           = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2] -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3] -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4] -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5] -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6] -- zset    the same of the peer
local peer_conversations = KEYS[7] -- hash    the same of the peer
local peer_events        = KEYS[8] -- list    the same of the peer
local feed               = KEYS[9] -- stream  feed of the partition, see lib/feed; appended to if it exists
local user               = ARGV[1] -- string  user id
local peer               = ARGV[2] -- string  user id of the peer
local retention          = ARGV[3] -- string  keep|since, see lib/retention
local limit              = ARGV[4] -- integer maximum number of messages to drop
local old                = ARGV[5] -- string  which messages of the archive are too old, see lib/retention; empty if not known

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, '')
local segment = old == '' and old_segment(conversation, retention)
if segment then return commit(conversation, nil, nil, segment) end
drop_old_messages(conversation, retention, tonumber(limit), old)
local dropped = conversation.dropped + (conversation.archive and conversation.archive.dropped or 0)
local change = conversation.uncounted and {kind = 'conversation.changed', message = ''} or nil
return commit(conversation, change, nil, dropped)
