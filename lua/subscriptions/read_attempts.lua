#!lua flags=no-writes
--- @include "lib/clock"
--- @include "lib/reader"
-- Reads which events of some partitions could not be sent to the endpoint of a subscription.
--
-- Returns  rows  for each partition that has one [place of the partition in KEYS, entry, count, wait_ms]: the id of the
--          event, how often it failed, and in how many milliseconds it is to be sent again

local readers = KEYS    -- keys    for each partition the hash of its readers, see lib/reader
local group   = ARGV[1] -- string  name of the group

local rows, now_ms = {}, math.floor(now_us() / 1000)
for i, hash in ipairs(readers) do
  local attempts = parse_attempts(redis.call('HGET', hash, attempts_field(group)))
  if attempts then
    rows[#rows + 1] = {i - 1, attempts.entry, tonumber(attempts.count), math.max(0, attempts.next_ms - now_ms)}
  end
end
return rows
