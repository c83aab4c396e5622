#!lua flags=no-writes
-- Reads what is known of the endpoint of a subscription, and counts its dead letters.
--
-- Returns  [circuit, dead]  the state of the circuit, empty if none was kept; the number of dead letters

local webhook    = KEYS[1] -- hash    secrets and state of the webhook, see lib/subscription
local dead_order = KEYS[2] -- zset    order of the dead letters, see lib/dead_letter

return {redis.call('HGET', webhook, 'circuit') or '', redis.call('ZCARD', dead_order)}
