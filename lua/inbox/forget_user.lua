#!lua
--- @include "lib/feed"
--- @include "lib/row"
-- Deletes the remaining data of a user whose conversations were forgotten, and publishes that the stream
-- has ended. If the id is already in use again, its new conversations stay.
--
-- Returns  left  number of conversations that stay

local inbox         = KEYS[1] -- zset    peer -> its place, see lib/order
local conversations = KEYS[2] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[3] -- list    the user's last events; also the name of the channel
local presence      = KEYS[4] -- zset    process -> when the user was last connected to it, in ms
local leases        = KEYS[5] -- zset    user -> last renewal of the presence, in ms; of a partition
local pinning       = KEYS[6] -- zset    peer,request of pins that are being made -> time in s
local feed          = KEYS[7] -- stream  feed of the partition, see lib/feed; appended to if it exists
local user          = ARGV[1] -- string  user id

local left = redis.call('HLEN', conversations)
for _, field in ipairs({TOTALS_FIELD, EPOCH_FIELD, PINNED_FIELD}) do
  left = left - redis.call('HEXISTS', conversations, field)
end
redis.call('ZREM', leases, user)
local deleted = redis.call('DEL', events, presence, pinning)
if left == 0 then
  deleted = deleted + redis.call('DEL', inbox, conversations)
else
  local totals = redis.call('HGET', conversations, TOTALS_FIELD) or NO_TOTALS
  redis.call('HSET', conversations, TOTALS_FIELD, string.sub(totals, 1, -2) .. '0')
  redis.call('HDEL', conversations, EPOCH_FIELD)
end
if deleted > 0 then redis.pcall('SPUBLISH', events, '{"type":"reset","cursor":"0-0"}') end
append_to_feed(feed, 'user.erased', user, 'data', '{"user":"' .. user .. '"}')
return left
