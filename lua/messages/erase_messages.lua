#!lua
--- @include "lib/commit"
--- @include "lib/message"
--- @include "lib/page"
--- @include "lib/tombstone"
-- Turns what the user wrote in a part of a conversation into tombstones. Those the peer had not
-- read yet no longer count.
--
-- Returns  [erased, next_before]  how many, and what to pass as before to go on; 0 at the end
-- Changes  conversation.changed

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local unread             = KEYS[2]  -- hash    user -> messages not yet read
local meta               = KEYS[3]  -- hash    everything else of the pair, see lib/conversation and lib/marks
local user_inbox         = KEYS[4]  -- zset    peer -> version of its newest message
local user_conversations = KEYS[5]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[6]  -- list    the user's last events, and the channel of that name
local peer_inbox         = KEYS[7]  -- zset    the same of the peer
local peer_conversations = KEYS[8]  -- hash    the same of the peer
local peer_events        = KEYS[9]  -- list    the same of the peer
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the other one
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local before             = ARGV[4]  -- integer only older ones than this seq; empty for any
local limit              = ARGV[5]  -- integer messages to look at, at most
local deleted_at         = ARGV[6]  -- string  time, RFC 3339

local conversation = load_conversation(messages, unread, meta, user, user_inbox, user_conversations, user_events,
  peer, peer_inbox, peer_conversations, peer_events)
local newest = tonumber(conversation.seq)
local high, low, next_before = older_than(before, limit, newest, newest - redis.call('LLEN', messages) + 1)

local erased, uncounted = 0, 0
for i, message in ipairs(high >= low and redis.call('LRANGE', messages, newest - high, newest - low) or {}) do
  local seq, from, next_member = string.match(message, MESSAGE_HEAD)
  if from == user and next_member ~= TOMBSTONE then
    redis.call('LSET', messages, newest - high + i - 1, make_tombstone(message, deleted_at))
    erased = erased + 1
    if tonumber(seq) > tonumber(conversation.peer.read) then uncounted = uncounted + 1 end
  end
end
conversation.peer.unread = string.format('%d', math.max(conversation.peer.unread - uncounted, 0))
return commit(conversation, erased > 0 and {kind = 'conversation.changed', message = ''}, retention, nil, {erased, next_before})
