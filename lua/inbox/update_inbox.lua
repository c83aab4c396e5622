#!lua flags=allow-oom
--- @include "lib/inbox"
-- Writes how a user sees a conversation into the user's inbox, and tells the user's devices. It takes
-- absolute state and keeps the newer one, so it may be repeated, late or out of order.
--
-- Returns  version  that of the conversation, as the inbox now has it

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events, and the channel of that name
local peer          = ARGV[1] -- string  user id of the other one
local version       = ARGV[2] -- integer that of the conversation
local active        = ARGV[3] -- integer its place in the inbox, see lib/order; 0 if it is not to be listed
local entry         = ARGV[4] -- string  how the user sees the conversation, see lib/row
local kind          = ARGV[5] -- string  type of the event that tells of it
local message       = ARGV[6] -- string  the message that changed, as JSON; empty if none did

local unread, flags = string.match(entry, '^(%d+)|(%d+)')
local owner = {inbox = inbox, conversations = conversations, events = events, unread = unread, flags = flags}
local event = update_inbox(owner, peer, version, active, entry, kind, message)
if event then redis.pcall('PUBLISH', events, event) end
return (parse_row(redis.call('HGET', conversations, peer)))
