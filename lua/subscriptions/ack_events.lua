#!lua flags=allow-oom
--- @include "lib/reader"
-- Acknowledges events that a consumer was given: in each of some partitions, those up to an id.
--
-- Returns  [acknowledged, ...]  for each partition the number of events; -1 if another consumer has them by now

local feeds    = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group    = ARGV[1] -- string  name of the group
local consumer = ARGV[2] -- string  name of the consumer
-- Then for each partition the id of the last event
local last     = {unpack(ARGV, 3)}

local acknowledged = {}
for partition, id in ipairs(last) do
  local feed, readers = feeds[2 * partition - 1], feeds[2 * partition]
  local pending = redis.pcall('XPENDING', feed, group, '-', id, 1000)
  if pending.err then
    if string.sub(pending.err, 1, 7) ~= 'NOGROUP' then return pending end
    acknowledged[partition] = 0
  elseif not pending[1] then
    acknowledged[partition] = 0
  else
    local _, holder = read_reader(readers, group)
    local ids = {}
    for i, entry in ipairs(pending) do ids[i] = entry[1] end
    acknowledged[partition] = holder == consumer and redis.call('XACK', feed, group, unpack(ids)) or -1
  end
end
return acknowledged
