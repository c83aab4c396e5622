#!lua
--- @include "lib/clock"
--- @include "lib/subscription"
-- Creates a subscription, or changes the settings of one. The groups of its feeds are created or removed after it,
-- see lua/subscriptions/settle_subscription.lua. A new secret of a webhook replaces the one before, which signs beside
-- it for a day.
--
-- Returns  [created, stored, secret]  1 if it did not exist before; the subscription as it is stored; the secret if it
--          was made for this call, otherwise empty
-- Errors   PRECONDITION_FAILED     it exists, and only a new one was asked for
--          TOO_MANY_SUBSCRIPTIONS  there is the maximum number

local subscriptions       = KEYS[1] -- hash    name -> subscription, see lib/subscription
local webhook             = KEYS[2] -- hash    secrets and state of its webhook, see lib/subscription
local dead                = KEYS[3] -- hash    dead letters, see lib/dead_letter
local dead_order          = KEYS[4] -- zset    order of the dead letters
local badge_subscriptions = KEYS[5] -- hash    names of the subscriptions that read badges
local name                = ARGV[1] -- string  name of the subscription
local generation          = ARGV[2] -- integer generation of a new subscription
local settings            = ARGV[3] -- string  JSON object
local limit               = ARGV[4] -- integer maximum number of subscriptions
local only_new            = ARGV[5] -- flag    1 refuses a subscription that exists
local given               = ARGV[6] -- string  secret of its webhook; empty to keep the one there is
local random              = ARGV[7] -- string  secret for a webhook that has none; empty if it has no webhook
local reads_badges        = ARGV[8] -- flag    1 if it reads badges

-- How long the secret before signs beside a new one, in microseconds.
local ROTATION_US = 86400000000

local stored = redis.call('HGET', subscriptions, name)
local old_generation, old_revision, state = parse_subscription(stored)
-- One that is being deleted is gone for its readers, and its groups are of another generation.
local exists = stored and state ~= 'closing'
if exists and only_new == '1' then
  return redis.error_reply('PRECONDITION_FAILED There is a subscription of this name.')
end
if not stored and redis.call('HLEN', subscriptions) >= tonumber(limit) then
  return redis.error_reply('TOO_MANY_SUBSCRIPTIONS There is the maximum number of subscriptions.')
end
local revision = 1
if exists then generation, revision = old_generation, old_revision + 1 end
local new = format_subscription(generation, revision, 'opening', settings)

local known, old, old_until = false, '', '0'
if exists then
  local fields = redis.call('HMGET', webhook, 'secret', 'old_secret', 'old_until_us')
  known, old, old_until = fields[1], fields[2] or '', fields[3] or '0'
end
local secret, made = known or random, ''
if given ~= '' then secret = given elseif not known then made = random end
if known and secret ~= known then
  old, old_until = known, string.format('%d', now_us() + ROTATION_US)
end

redis.call('HSET', subscriptions, name, new)
-- Before the groups are created: a badge is appended as soon as there is a group that reads it.
if reads_badges == '1' then redis.call('HSET', badge_subscriptions, name, '') end
if random == '' then
  redis.call('UNLINK', webhook)
else
  -- The circuit is that of another endpoint.
  redis.call('HSET', webhook, 'secret', secret, 'old_secret', old, 'old_until_us', old_until, 'circuit', '')
end
if not exists then redis.call('UNLINK', dead, dead_order) end
return {exists and 0 or 1, new, made}
