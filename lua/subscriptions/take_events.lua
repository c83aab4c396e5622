#!lua flags=allow-oom
--- @include "lib/pending"
--- @include "lib/reader"
-- Gives a consumer of a subscription its next events in the feeds of some partitions. Each partition has one batch in
-- flight, so order holds whatever the number of consumers. What the consumer was given before and has not
-- acknowledged comes first, again; so does a batch that another consumer has had for too long.
--
-- Returns  [events, more]  for each event [place of the partition in KEYS, id, attempts, type, data]; 1 if there may be
--          more, because events that the subscription does not want were skipped

local feeds       = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group       = ARGV[1] -- string  name of the group
local consumer    = ARGV[2] -- string  name of the consumer
local limit       = ARGV[3] -- integer maximum number of events
local bytes       = ARGV[4] -- integer size of the events at which the reply ends
local ack_wait_ms = ARGV[5] -- integer milliseconds after which a batch counts as abandoned
local types       = ARGV[6] -- string  wanted types, a comma before and after each
local wanted      = ARGV[7] -- string  names of the wanted conversations likewise; empty for all
local first       = ARGV[8] -- integer partition at which to begin with new events, from 0
local part        = ARGV[9] -- string  again gives only what was given before, new continues batches; empty for both

-- Entries that one command reads at most, and the size that each is expected to have at most, so that the reply exceeds
-- its size by little.
local STEP, ENTRY_BYTES = 20, 16000
-- Entries that one call skips, which takes about 3 ms.
local SKIPPED = 1000

local events, left, size, skipped = {}, tonumber(limit), tonumber(bytes), 0

local function give(partition, entry, attempts)
  local kind, data, message = entry[2][2], entry[2][6], entry[2][8]
  -- Badges have the message beside the data, or an empty one.
  if message and message ~= '' then data = string.sub(data, 1, -2) .. ',"message":' .. message .. '}' end
  events[#events + 1] = {partition, entry[1], attempts, kind, data}
  left, size = left - 1, size - #data
end

-- Returns how many of some entries to read next.
local function step_of(count)
  return math.min(STEP, count, math.max(1, math.floor(size / ENTRY_BYTES)))
end

local function is_wanted(fields)
  return string.find(types, ',' .. fields[2] .. ',', 1, true)
    and (wanted == '' or string.find(wanted, ',' .. fields[4] .. ',', 1, true))
end

-- Gives the pending entries of a partition again.
local function give_again(partition, feed, readers, lost)
  local ids, counts = pending_ids(feed, group, '-', '+', left)
  local from = 1
  while from <= #ids and size > 0 do
    local count = step_of(#ids - from + 1)
    local some = {unpack(ids, from, from + count - 1)}
    from = from + count
    for _, entry in ipairs(redis.call('XCLAIM', feed, group, READER, 0, unpack(some))) do
      give(partition, entry, counts[entry[1]] + 1)
    end
  end
  redis.call('HSET', readers, group, lost .. '|' .. consumer)
end

-- Reads new entries of a partition.
local function give_new(partition, feed, readers)
  local given = 0
  while left > 0 and size > 0 and skipped < SKIPPED do
    local count = step_of(left)
    local read = redis.call('XREADGROUP', 'GROUP', group, READER, 'COUNT', count, 'STREAMS', feed, '>')
    local entries, unwanted = read and read[1][2] or {}, {}
    for _, entry in ipairs(entries) do
      if is_wanted(entry[2]) then
        give(partition, entry, 1)
        given = given + 1
      else
        unwanted[#unwanted + 1] = entry[1]
      end
    end
    if #unwanted > 0 then redis.call('XACK', feed, group, unpack(unwanted)) end
    skipped = skipped + #unwanted
    if #entries < count then break end
  end
  if given > 0 then redis.call('HSET', readers, group, (read_reader(readers, group)) .. '|' .. consumer) end
end

local partitions, free = #feeds / 2, {}
for partition = 0, partitions - 1 do
  local feed, readers = feeds[2 * partition + 1], feeds[2 * partition + 2]
  local pending = redis.pcall('XPENDING', feed, group, '-', '+', 1)
  if pending.err then
    -- The group is not there yet, or no longer.
    if string.sub(pending.err, 1, 7) ~= 'NOGROUP' then return pending end
  elseif not pending[1] then
    free[partition] = true
  elseif part == 'new' then
    local _, holder = read_reader(readers, group)
    free[partition] = holder == consumer
  elseif left > 0 and size > 0 then
    local lost, holder = read_reader(readers, group)
    local is_abandoned = pending[1][3] >= tonumber(ack_wait_ms)
    if holder == consumer or is_abandoned then give_again(partition, feed, readers, lost) end
  end
end
for step = 0, part == 'again' and -1 or partitions - 1 do
  local partition = (first + step) % partitions
  if free[partition] and left > 0 and size > 0 then
    give_new(partition, feeds[2 * partition + 1], feeds[2 * partition + 2])
  end
end
return {events, skipped >= SKIPPED and 1 or 0}
