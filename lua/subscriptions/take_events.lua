#!lua flags=allow-oom
--- @include "lib/batch"
-- Gives a consumer of a subscription its next events in the feeds of some partitions. Each partition has one batch in
-- flight, so order holds whatever the number of consumers. What the consumer was given before and has not
-- acknowledged comes first, again; so does a batch that another consumer has had for too long.
--
-- Returns  [events, more]  for each event [place of the partition in KEYS, id, attempts, type, data], where the data of a
--          new message is the message; 1 if there may be more, because events that the subscription does not want were
--          skipped

local feeds       = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group       = ARGV[1] -- string  name of the group
local consumer    = ARGV[2] -- string  name of the consumer
local limit       = ARGV[3] -- integer maximum number of events
local bytes       = ARGV[4] -- integer size of the events at which the reply ends
local ack_wait_ms = ARGV[5] -- integer milliseconds after which a batch counts as abandoned
local types       = ARGV[6] -- string  wanted types, a comma before and after each
local wanted      = ARGV[7] -- string  names of the wanted rooms likewise; empty for all conversations
local first       = ARGV[8] -- integer partition at which to begin with new events, from 0
local part        = ARGV[9] -- string  again gives only what was given before, new continues batches; empty for both

local reader = {group = group, consumer = consumer, types = types, wanted = wanted}
local reply = {events = {}, left = tonumber(limit), size = tonumber(bytes), skipped = 0}

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
  elseif has_space(reply) then
    local lost, holder = read_reader(readers, group)
    local is_abandoned = pending[1][3] >= tonumber(ack_wait_ms)
    if holder == consumer or is_abandoned then give_again(reply, reader, partition, feed, readers, lost) end
  end
end
for step = 0, part == 'again' and -1 or partitions - 1 do
  local partition = (first + step) % partitions
  if free[partition] and has_space(reply) then
    give_new(reply, reader, partition, feeds[2 * partition + 1], feeds[2 * partition + 2])
  end
end
return {reply.events, reply.skipped >= SKIPPED and 1 or 0}
