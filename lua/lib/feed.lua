-- The feed of a partition: a stream of what happens in its conversations, which subscriptions read as consumer
-- groups. The stream exists only while there is a subscription: without one nothing is appended. The first field of an
-- entry has the type of the event as its name. Its value is whose event it is: the name of a conversation, or a user; a
-- second field, `data`, has the JSON object of what happened. Of a new message there is only the first field, and its
-- value is the message, which says the rest: so a send composes nothing.

-- All subscriptions, and those of them that read badges, see lib/subscription. On one Redis, scripts that change
-- conversations look here: feeds and badges exist only while there are such subscriptions.
local SUBSCRIPTIONS, BADGE_SUBSCRIPTIONS = 'dm:subscriptions', 'dm:{dm:subscriptions}:badge_subscriptions'

-- Returns how the data of an event in a conversation of two users begins.
local function users_of(pair)
  return '{"users":["' .. string.gsub(pair, ',', '","') .. '"]'
end

-- The same of a room.
local function room_of(name)
  return '{"room":"' .. string.sub(name, #'room:' + 1) .. '"'
end

-- Appends an event if the feed exists, and wakes those who wait for one.
--
-- kind, of  the first field, and its value
-- ...       the second field, 'data', and its value; nothing for a new message
local function append_to_feed(feed, kind, of, ...)
  if redis.call('XADD', feed, 'NOMKSTREAM', '*', kind, of, ...) then
    -- Redis may refuse to publish (ACL). Who waits also looks by itself.
    redis.pcall('SPUBLISH', feed, '')
  end
end
