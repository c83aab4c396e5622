#!lua flags=allow-oom
--- @include "lib/inbox"
-- Updates the row of a conversation in a user's inbox, and publishes the event to the user's devices.
-- Takes absolute state and keeps the newer one, so it can be repeated, late or out of order.
--
-- A row that was forgotten does not come back by an update from before. Only an update that finds no row asks for
-- that: it answers `absent`, and is repeated with the fourth key.
--
-- Returns  outcome  exact, gap, silent, stale or absent, see lib/inbox

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events; also the name of the channel
local forgotten     = KEYS[4] -- string  version up to which the conversation was forgotten; none, or `events`, at first
local badges        = KEYS[5] -- stream  badges of the partition, see lib/badges; none if nobody is known to read them
local leases        = KEYS[6] -- zset    user -> last renewal of the presence, in ms; none without `badges`
local peer          = ARGV[1] -- string  user id of the peer
local version       = ARGV[2] -- integer version of the conversation
local base          = ARGV[3] -- integer version before this change, 0 if there was no row; empty if unknown
local active        = ARGV[4] -- integer place in the inbox, see lib/order; 0 if the inbox does not list it
local entry         = ARGV[5] -- string  entry of the row, see lib/row
local kind          = ARGV[6] -- string  type of the event; empty if the user is not told
local message       = ARGV[7] -- string  JSON of the message that changed; empty if none did
local writes        = ARGV[8] -- flag    1 if the user now writes to the peer
local user          = ARGV[9] -- string  user id

local unread, flags = string.match(entry, '^(%d+)|(%d+)')
local owner = {
  id = user, inbox = inbox, conversations = conversations, events = events, unread = unread, flags = flags,
  writes = writes == '1', forgotten = forgotten ~= events and forgotten or '',
}
find_badges(owner, badges, leases)
local event, outcome = update_inbox(owner, peer, version, base, active, entry, kind, message)
if event then redis.pcall('SPUBLISH', events, event) end
publish_badge(owner)
return outcome
