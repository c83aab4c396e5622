#!lua
--- @include "lib/erasure"
-- Drops the kept events of a user, which contain texts of an erased peer, after
-- lua/conversations/forget_conversation.lua on a cluster.
--
-- Returns  done  1

local events = KEYS[1] -- list    the user's last events; also the name of the channel

drop_events(events)
return 1
