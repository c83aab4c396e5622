#!lua
--- @include "lib/archive_change"
--- @include "lib/commit"
--- @include "lib/count"
--- @include "lib/erasure"
--- @include "lib/metadata"
--- @include "lib/schedule"
-- Removes a conversation of a user who is being erased: the row and all marks. A later user of the same
-- id sees only messages after the last one that was erased. If the peer was erased before, the whole
-- conversation is deleted.
--
-- On a cluster, the inboxes follow in steps of their own: lua/inbox/forget_row.lua and
-- lua/inbox/drop_events.lua. A row that is removed must not come back by a late update, so this waits until all
-- updates of the inboxes are confirmed.
--
-- Returns  outcome  0 if the user's part was deleted, 1 if the whole conversation was, 2 if the id is in use again
--                   and the row stays, 3 if updates are not confirmed and nothing was done, 4 if the whole conversation
--                   is to be deleted and another call continues
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
local imported           = KEYS[10] -- hash    digest of the id of each imported message -> digest of the message
local schedule           = KEYS[11] -- zset    schedule of the partition, see lib/schedule
local garbage            = KEYS[12] -- zset    objects of the partition to delete -> when, in ms
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local last               = ARGV[4]  -- integer seq of the newest message that was erased
local folder             = ARGV[5]  -- string  folder of the objects of the conversation in the archive
local grace_ms           = ARGV[6]  -- integer how long they are kept, in milliseconds

local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
if conversation.outbox and redis.call('ZSCORE', conversation.outbox, pair_of(conversation)) then
  return unchanged(conversation, 3)
end
local newest, outcome = tonumber(conversation.seq), 0
local is_abandoned = conversation.peer.erased and tonumber(last) >= newest
if is_abandoned and give_up_archive(conversation, garbage, folder, grace_ms) then return unchanged(conversation, 4) end
conversation.user = participant(user, '0', 'erased|' .. last, user_inbox, user_conversations, user_events)
local leaver, reader = conversation.user, conversation.peer
redis.call('ZREM', schedule, mute_entry(user, peer))
if tonumber(last) >= newest then
  if not conversation.outbox then
    find_badges(leaver)
    forget_row(leaver, peer)
    publish_badge(leaver)
  end
  if is_abandoned then
    redis.call('UNLINK', messages, meta, imported)
    return conversation.outbox and {1, conversation.version} or 1
  end
else
  -- The id is already in use again.
  local oldest = math.max(oldest_visible(conversation, leaver), tonumber(last) + 1)
  outcome = 2
  leaver.erased, leaver.unread = nil, string.format('%d', (count_messages(conversation, peer, newest, oldest, 1)))
end
redis.call('HSET', meta, ERASED_FIELD .. user, last)
redis.call('HDEL', meta, METADATA_FIELD .. user)
-- The kept events of the peer contain the erased texts.
if not conversation.outbox then drop_events(peer_events) end
-- A peer without a row learns of nothing.
local private = reader.base ~= nil
local change = {kind = 'conversation.changed', message = '', marks = 'user', private = private, erases = true}
return commit(conversation, change, nil, outcome)
