-- The feed of a partition: a stream of what happens in its conversations, which subscriptions read as consumer
-- groups. The stream exists only while there is a subscription: without one nothing is appended.
--- @include "lib/message"

-- All subscriptions, see lib/subscription. On one Redis, scripts that change conversations look here: a feed exists
-- only while there is a subscription.
local SUBSCRIPTIONS = 'dm:subscriptions'

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
-- feed   the stream
-- kind   type of the event
-- of     whose event it is: the name of the conversation, or a user
-- data   JSON object of what happened; of a new message, the message, see data_of_message
-- field  'message' if it is a message; nil if it is an object
local function append_to_feed(feed, kind, of, data, field)
  if redis.call('XADD', feed, 'NOMKSTREAM', '*', 'type', kind, 'of', of, field or 'data', data) then
    -- Redis may refuse to publish (ACL). Who waits also looks by itself.
    redis.pcall('SPUBLISH', feed, '')
  end
end

-- Returns the data of a new message. The feed has only the message, so that a send composes nothing, and this is done
-- when somebody reads.
local function data_of_message(of, message)
  local seq, from = string.match(message, MESSAGE_HEAD)
  return (string.find(of, ',', 1, true) and users_of(of) or room_of(of)) .. ',"by":"' .. from .. '","last_seq":' .. seq
    .. ',"message":' .. message .. '}'
end
