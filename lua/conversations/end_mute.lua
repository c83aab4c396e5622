#!lua flags=allow-oom
--- @include "lib/commit"
--- @include "lib/schedule"
-- Ends a mute of the user that has expired. Does nothing if the user has changed the mute since.
--
-- Returns  ended  1 if the mute ended
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

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, '')
local is_over = conversation.user.muted_until == '0'
if not is_over or redis.call('ZREM', schedule, mute_entry(user, peer)) == 0 then return commit(conversation, nil, nil, 0) end
return commit(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, nil, 1)
