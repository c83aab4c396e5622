-- The dead letters of a subscription: events that its endpoint did not take. A hash has each event by its id,
-- type|attempts|status|data, opaque to scripts. A zset has the ids in the order in which they failed: the score is that
-- time in microseconds since 1970, and negative while the event is to be sent again. Both are gone 30 days after the
-- last event failed. Another zset, of all subscriptions, has the users who were erased while events from before can
-- still be sent, with the time in microseconds since 1970.

local KEPT_S = 2592000

-- Keeps an event as the newest dead letter. `now` in microseconds since 1970.
local function keep_dead_letter(dead, dead_order, id, event, now)
  redis.call('HSET', dead, id, event)
  redis.call('ZADD', dead_order, now, id)
  redis.call('EXPIRE', dead, KEPT_S)
  redis.call('EXPIRE', dead_order, KEPT_S)
end
