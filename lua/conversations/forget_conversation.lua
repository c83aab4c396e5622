#!lua
--- @include "lib/commit"
--- @include "lib/count"
--- @include "lib/metadata"
--- @include "lib/schedule"
-- Removes a conversation of a user who is being erased: the row and all marks. A later user of the same
-- id sees only messages after the last one that was erased. If the peer was erased before, the whole
-- conversation is deleted.
--
-- Returns  deleted  1 if the whole conversation was deleted
-- Changes  conversation.changed

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local imported           = KEYS[9]  -- hash    digest of the id of each imported message -> digest of the message
local schedule           = KEYS[10] -- zset    schedule of the partition, see lib/schedule
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local last               = ARGV[4]  -- integer seq of the newest message that was erased

-- Drops the kept events of a user. Devices that resume receive `conversation.changed` instead.
local function drop_events(events)
  local cursor = string.match(redis.call('LINDEX', events, 0) or '', '"cursor":"(%d+%-%d+)"')
  if not cursor then return end
  redis.call('LTRIM', events, 0, 0)
  redis.call('LSET', events, 0, '{"cursor":"' .. cursor .. '"}')
end

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, retention)
local newest = tonumber(conversation.seq)
conversation.user = participant(user, '0', 'erased|' .. last, user_inbox, user_conversations, user_events)
local leaver, reader = conversation.user, conversation.peer
redis.call('ZREM', schedule, mute_entry(user, peer))
if tonumber(last) >= newest then
  -- Unread messages leave the totals before the row is deleted.
  if redis.call('HEXISTS', user_conversations, peer) == 1 then
    local version = string.format('%d', conversation.version + 1)
    update_inbox(leaver, peer, version, '', '0', entry_of(conversation, leaver, reader), 'conversation.changed', '')
    redis.call('HDEL', user_conversations, peer)
  end
  if reader.erased then return redis.call('UNLINK', messages, meta, imported) and 1 end
else
  -- The id is already in use again.
  local oldest = math.max(oldest_visible(conversation, leaver), tonumber(last) + 1)
  leaver.erased, leaver.unread = nil, string.format('%d', (count_messages(messages, peer, newest, newest, oldest, 1)))
end
redis.call('HSET', meta, ERASED_FIELD .. user, last)
redis.call('HDEL', meta, METADATA_FIELD .. user)
-- The kept events of the peer contain the erased texts.
drop_events(peer_events)
-- A peer without a row learns of nothing.
local private = reader.base ~= nil
local change = {kind = 'conversation.changed', message = '', marks = 'user', private = private, erases = true}
return commit(conversation, change, nil, 0)
