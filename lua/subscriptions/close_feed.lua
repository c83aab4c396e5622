#!lua flags=allow-oom
--- @include "lib/reader"
-- Removes a group from the feeds of some partitions, unless later settings of its subscription asked for it, and the
-- feeds that nobody reads any more.
--
-- Returns  removed  number of groups that existed

local feeds    = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group    = ARGV[1] -- string  name of the group
local revision = ARGV[2] -- integer revision of the settings that do not ask for it

local removed = 0
for i = 1, #feeds, 2 do
  local feed, readers = feeds[i], feeds[i + 1]
  if not is_outdated(readers, group, revision) then
    if redis.call('EXISTS', feed) == 1 then removed = removed + redis.call('XGROUP', 'DESTROY', feed, group) end
    -- One of both, because the hash is gone with its last field.
    if #groups_of(feed) == 0 then
      redis.call('UNLINK', feed, readers)
    else
      redis.call('HDEL', readers, group, attempts_field(group), revision_field(group))
    end
  end
end
return removed
