#!lua
--- @include "lib/commit"
--- @include "lib/commit_state"
--- @include "lib/flags"
--- @include "lib/rate"
--- @include "lib/schedule"
-- Sets or clears a flag of the user on a conversation. A mute can have an end.
--
-- Returns  [entry, newest, metadata]  as lib/commit_state has them
-- Changes  conversation.changed
-- Errors   RATE_LIMITED  the bucket is empty

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
local bucket             = KEYS[11] -- string  rate limit bucket; none if nobody is charged
local user               = ARGV[1]  -- string  user id
local peer               = ARGV[2]  -- string  user id of the peer
local retention          = ARGV[3]  -- string  keep|since, see lib/retention; empty to keep everything
local flag               = ARGV[4]  -- string  blocked or muted
local on                 = ARGV[5]  -- flag    1 sets the flag, 0 clears it
local muted_until        = ARGV[6]  -- integer when the mute ends, in milliseconds since 1970; 0 or none if it does not
local interval_us        = ARGV[7]  -- integer microseconds in which the bucket gets a token back
local burst              = ARGV[8]  -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local conversation = load_conversation(messages, meta, user, user_inbox, user_conversations, user_events, peer,
  peer_inbox, peer_conversations, peer_events, feed, retention)
local owner = conversation.user
local flags = with_flag(owner.flags, flag == 'blocked' and BLOCKED or MUTED, on)
local until_ms = flag == 'muted' and (muted_until or '0') or owner.muted_until
if flags == owner.flags and until_ms == owner.muted_until then return commit_state(conversation, nil, charge) end
schedule_mute_end(schedule, user, peer, owner.muted_until, until_ms)
owner.flags, owner.muted_until = flags, until_ms
return commit_state(conversation, {kind = 'conversation.changed', message = '', marks = 'user', private = true}, charge)
