#!lua flags=no-writes
--- @include "lib/reader"
-- Counts what a group has not read in the feeds of some partitions.
--
-- Returns  rows  for each feed that has the group [lag, pending, lost, oldest, consumer, idle_ms]: events that were
--          not given yet; that were given and not acknowledged; that were dropped unread; the id of the oldest that is
--          not acknowledged, or empty; who has the pending ones, and for how long

local feeds = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group = ARGV[1] -- string  name of the group

local rows = {}
for i = 1, #feeds, 2 do
  local feed, readers = feeds[i], feeds[i + 1]
  local found = find_group(feed, group)
  if found then
    local lost, consumer = read_reader(readers, group)
    local first = redis.call('XPENDING', feed, group, '-', '+', 1)[1]
    local oldest, idle = '', 0
    if first then
      oldest, idle = first[1], first[3]
    else
      local next = redis.call('XRANGE', feed, '(' .. found['last-delivered-id'], '+', 'COUNT', 1)[1]
      oldest = next and next[1] or ''
    end
    local lag = found.lag or redis.call('XLEN', feed)
    rows[#rows + 1] = {lag, found.pending, tonumber(lost), oldest, consumer, idle}
  end
end
return rows
