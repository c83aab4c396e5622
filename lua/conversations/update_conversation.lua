#!lua
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/rate"
--- @include "lib/settings"
-- Changes whether a conversation is archived or pinned for the user, and the user's metadata. The peer is
-- not told.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.changed
-- Errors   CONVERSATION_CHANGED  the metadata has changed since it was read
--          TOO_MANY_PINNED       the user has the maximum number of pinned conversations
--          RATE_LIMITED          the bucket is empty

local messages           = KEYS[1]  -- list    messages of the pair as JSON, newest first
local meta               = KEYS[2]  -- hash    everything else of the pair, see lib/state
local user_inbox         = KEYS[3]  -- zset    peer -> its place, see lib/order
local user_conversations = KEYS[4]  -- hash    rows and totals of the user, see lib/row
local user_events        = KEYS[5]  -- list    the user's last events; also the name of the channel
local peer_inbox         = KEYS[6]  -- zset    the same of the peer
local peer_conversations = KEYS[7]  -- hash    the same of the peer
local peer_events        = KEYS[8]  -- list    the same of the peer
local feed               = KEYS[9]  -- stream  feed of the partition, see lib/feed; appended to if it exists
local bucket             = KEYS[10] -- string  rate limit bucket; none if nobody is charged
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local archived           = ARGV[4]  -- flag    1 or 0; empty to leave it as it is
local pinned             = ARGV[5]  -- flag    1 or 0; empty to leave it as it is
local metadata           = ARGV[6]  -- string  JSON object; null to remove it, empty to leave it as it is
local old_metadata       = ARGV[7]  -- string  JSON that the new metadata was made from; empty for none, * for any
local pin_limit          = ARGV[8]  -- integer maximum number of pinned conversations of a user, see lua/inbox/reserve_pin.lua for a cluster
local interval_us        = ARGV[9]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[10] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local counts_pins = not conversation.outbox and user_conversations or nil
local changed, why = update_settings(conversation, conversation.user, archived, pinned, metadata, old_metadata,
  counts_pins, pin_limit)
if why then return why end
if not changed then return commit_state(conversation, nil, charge) end
return commit_state(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, charge)
