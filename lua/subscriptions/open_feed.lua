#!lua
--- @include "lib/reader"
-- Creates a group in the feeds of some partitions, and the feeds that do not exist yet.
--
-- Returns  created  number of groups that did not exist

local feeds    = KEYS    -- keys    for each partition its feed and the hash of its readers, see lib/reader
local group    = ARGV[1] -- string  name of the group, see lib/reader
local from     = ARGV[2] -- string  where it begins to read: start, the oldest event that is kept, or end
local revision = ARGV[3] -- integer revision of the settings that ask for it

local created = 0
for i = 1, #feeds, 2 do
  local feed, readers = feeds[i], feeds[i + 1]
  local added, kept, newest = describe_stream(feed)
  local read = from == 'start' and string.format('%d', added - kept) or added
  local position = from == 'start' and '0' or newest
  local done = redis.pcall('XGROUP', 'CREATE', feed, group, position, 'MKSTREAM', 'ENTRIESREAD', read)
  if not done.err then
    created = created + 1
  elseif string.sub(done.err, 1, 9) ~= 'BUSYGROUP' then
    return done
  end
  -- Nothing can be late with settings before the first.
  if revision ~= '1' and not is_outdated(readers, group, revision) then
    redis.call('HSET', readers, revision_field(group), revision)
  end
end
return created
