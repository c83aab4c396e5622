#!lua flags=allow-oom
--- @include "lib/commit"
--- @include "lib/writers"
-- Updates the inboxes of both users again with the state that the conversation has. Rows that have it already do
-- not change.
--
-- Returns  done  1
-- Changes  conversation.changed

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

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, '')
find_writers(conversation)
return commit(conversation, {kind = 'conversation.changed', message = '', repeats = true}, nil, 1)
