-- The feed of a partition: a stream of what happens in its conversations, which subscriptions read as consumer
-- groups. The stream exists only while there is a subscription: without one nothing is appended.

-- Appends an event, and wakes those who wait for one.
--
-- feed  the stream, which exists
-- kind  type of the event
-- of    whose event it is: the name of the conversation, or a user
-- data  JSON object of what happened
local function append_to_feed(feed, kind, of, data)
  redis.call('XADD', feed, '*', 'type', kind, 'of', of, 'data', data)
  -- Redis may refuse to publish (ACL). Who waits also looks by itself.
  redis.pcall('SPUBLISH', feed, '')
end
