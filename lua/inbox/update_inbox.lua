#!lua flags=allow-oom
--- @include "lib/inbox"
-- Updates the row of a conversation in a user's inbox, and publishes the event to the user's devices.
-- Takes absolute state and keeps the newer one, so it can be repeated, late or out of order.
--
-- Returns  version  version of the conversation that the inbox now has

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events; also the name of the channel
local peer          = ARGV[1] -- string  user id of the peer
local version       = ARGV[2] -- integer version of the conversation
local active        = ARGV[3] -- integer place in the inbox, see lib/order; 0 if the inbox does not list it
local entry         = ARGV[4] -- string  entry of the row, see lib/row
local kind          = ARGV[5] -- string  type of the event
local message       = ARGV[6] -- string  JSON of the message that changed; empty if none did

local unread, flags = string.match(entry, '^(%d+)|(%d+)')
local owner = {inbox = inbox, conversations = conversations, events = events, unread = unread, flags = flags}
local event = update_inbox(owner, peer, version, active, entry, kind, message)
if event then redis.pcall('PUBLISH', events, event) end
return (parse_row(redis.call('HGET', conversations, peer)))
