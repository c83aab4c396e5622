#!lua
--- @include "lib/reader"
-- Creates a group in the feeds of some partitions, and the feeds that do not exist yet.
--
-- Returns  created  number of groups that did not exist

local feeds = KEYS    -- streams feeds of partitions
local group = ARGV[1] -- string  name of the group, see lib/reader
local from  = ARGV[2] -- string  where it begins to read: start, the oldest event that is kept, or end

local created = 0
for _, feed in ipairs(feeds) do
  local added, kept, newest = describe_stream(feed)
  local read = from == 'start' and string.format('%d', added - kept) or added
  local position = from == 'start' and '0' or newest
  local done = redis.pcall('XGROUP', 'CREATE', feed, group, position, 'MKSTREAM', 'ENTRIESREAD', read)
  if not done.err then
    created = created + 1
  elseif string.sub(done.err, 1, 9) ~= 'BUSYGROUP' then
    return done
  end
end
return created
