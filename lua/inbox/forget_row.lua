#!lua
--- @include "lib/erasure"
-- Removes the row of a conversation from the inbox of a user who is being erased, after
-- lua/conversations/forget_conversation.lua on a cluster. For an hour no update from before brings the row back, even
-- if it was sent long ago and another process sent it.
--
-- Returns  done  1

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events; also the name of the channel
local forgotten     = KEYS[4] -- string  version up to which the conversation was forgotten
local badges        = KEYS[5] -- stream  badges of the partition, see lib/badges; none if nobody is known to read them
local leases        = KEYS[6] -- zset    user -> last renewal of the presence, in ms; none without `badges`
local user          = ARGV[1] -- string  user id
local peer          = ARGV[2] -- string  user id of the peer
local version       = ARGV[3] -- integer version of the conversation; a newer row stays

redis.call('SET', forgotten, version, 'EX', 3600)
local owner = {id = user, inbox = inbox, conversations = conversations, events = events}
find_badges(owner, badges, leases)
forget_row(owner, peer, version)
publish_badge(owner)
return 1
