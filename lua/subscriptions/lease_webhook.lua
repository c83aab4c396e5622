#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/subscription"
-- Lets a process send the events of a subscription for some seconds, if no other process does, and keeps what the
-- process knows of the endpoint.
--
-- Returns  [held, circuit, secret, old_secret, retries]  held is 0 if another process sends the events, or if the
--          subscription was changed or stopped; the circuit as it was kept before; the secrets that sign, the second
--          one empty if there is one only; 1 if dead letters are to be sent again

local subscriptions = KEYS[1] -- hash    name -> subscription, see lib/subscription
local webhook       = KEYS[2] -- hash    secrets and state of the webhook, see lib/subscription
local dead_order    = KEYS[3] -- zset    order of the dead letters, see lib/dead_letter
local name          = ARGV[1] -- string  name of the subscription
local generation    = ARGV[2] -- integer its generation
local settings      = ARGV[3] -- string  its settings as the process knows them
local process       = ARGV[4] -- string  name of the process
local lease_ms      = ARGV[5] -- integer milliseconds; 0 gives the lease back
local circuit       = ARGV[6] -- string  state of the circuit; empty to keep the one there is

local NOT_HELD = 0
local now = now_us()
local known, _, state, present = parse_subscription(redis.call('HGET', subscriptions, name))
local fields = redis.call('HMGET', webhook, 'holder', 'held_until_us', 'circuit', 'secret', 'old_secret', 'old_until_us')
local holder, held_until, before, secret, old, old_until = unpack(fields)
local retries = redis.call('ZRANGEBYSCORE', dead_order, '-inf', '(0', 'LIMIT', 0, 1)

local is_same = known == generation and present == settings and (state == 'open' or state == 'opening')
local is_free = not holder or holder == process or held_until < now
if not secret or not is_free or not is_same and lease_ms ~= '0' then return {NOT_HELD, '', '', '', 0} end
redis.call('HSET', webhook, 'holder', process, 'held_until_us', string.format('%d', now + 1000 * lease_ms))
if circuit ~= '' and is_same then redis.call('HSET', webhook, 'circuit', circuit) end
if not old_until or old_until < now then old = '' end
return {1, before or '', secret, old or '', #retries}
