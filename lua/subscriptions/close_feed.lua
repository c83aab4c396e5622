#!lua flags=allow-oom
--- @include "lib/reader"
-- Removes a group from the feeds of some partitions, and the feeds that nobody reads any more.
--
-- Returns  removed  number of groups that existed

local feeds = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group = ARGV[1] -- string  name of the group

local removed = 0
for i = 1, #feeds, 2 do
  local feed, readers = feeds[i], feeds[i + 1]
  if redis.call('EXISTS', feed) == 1 then removed = removed + redis.call('XGROUP', 'DESTROY', feed, group) end
  -- One of both, because the hash is gone with its last field.
  if #groups_of(feed) == 0 then
    redis.call('UNLINK', feed, readers)
  else
    redis.call('HDEL', readers, group, attempts_field(group))
  end
end
return removed
