-- The feed of a partition: a stream of what happens in its conversations, which subscriptions read as consumer
-- groups. The stream exists only while there is a subscription: without one nothing is appended.

-- All subscriptions, see lib/subscription. On one Redis, scripts that change conversations look here: a feed exists
-- only while there is a subscription.
local SUBSCRIPTIONS = 'dm:subscriptions'

-- Appends an event if the feed exists, and wakes those who wait for one.
--
-- feed  the stream
-- kind  type of the event
-- of    whose event it is: the name of the conversation, or a user
-- data  JSON object of what happened
local function append_to_feed(feed, kind, of, data)
  if redis.call('XADD', feed, 'NOMKSTREAM', '*', 'type', kind, 'of', of, 'data', data) then
    -- Redis may refuse to publish (ACL). Who waits also looks by itself.
    redis.pcall('SPUBLISH', feed, '')
  end
end
