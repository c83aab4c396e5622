#!lua flags=no-writes
-- Tells whether a user is there, and since when not. To somebody who has no conversation with the
-- user, or whom the user has blocked, it tells what it would tell of a user who never was there.
--
-- Returns  [online, last_seen]  1 if there; else when last, in ms, 0 if that is not known

local presence      = KEYS[1] -- zset    process -> when the user was last connected to it, in ms; '' -> when it left
local conversations = KEYS[2] -- hash    pair -> row
local pair          = ARGV[1] -- string  the user and who asks, sorted and joined; empty if anything may be told
local lease_ms      = ARGV[2] -- integer how long a word holds

if pair ~= '' then
  local row = redis.call('HGET', conversations, pair)
  local blocked = row and string.match(row, '^%d+|%d+|%d+|%d+|%d+|%d+|%d+|%d+|(%d)')
  if blocked ~= '0' then return {0, 0} end
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local last = 0
local known = redis.call('ZRANGE', presence, 0, -1, 'WITHSCORES')
for i = 1, #known, 2 do
  local at = tonumber(known[i + 1])
  if known[i] ~= '' and at > now - lease_ms then return {1, 0} end
  last = math.max(last, at)
end
return {0, last}
