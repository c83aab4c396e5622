#!lua flags=allow-oom
--- @include "lib/pending"
--- @include "lib/reader"
--- @include "lib/stream_id"
-- Moves a group to another place of a feed. What it was given is acknowledged. Redis does not know how many events
-- follow an id in the middle, so they are counted first, a part of them in each call.
--
-- Returns  [next, counted]  with which to call again; nil and the number of events that follow, at the end

local feed    = KEYS[1] -- stream  feed of a partition
local group   = ARGV[1] -- string  name of the group, see lib/reader
local to      = ARGV[2] -- string  id of the first event to read; 0-0 for the oldest, + for none of those that there are
local from    = ARGV[3] -- string  where to count: `to`, or `next` of the call before
local counted = ARGV[4] -- integer number of events that were counted before
local limit   = ARGV[5] -- integer maximum number of events to count

if not find_group(feed, group) then return {false, 0} end
local added, kept, newest = describe_stream(feed)
local follow, position = tonumber(counted), newest
if to == '0-0' then
  follow, position = tonumber(kept), '0-0'
elseif to ~= '+' then
  local entries = redis.call('XRANGE', feed, from, '+', 'COUNT', limit)
  follow = follow + #entries
  if #entries == tonumber(limit) then return {id_after(entries[#entries][1]), follow} end
  if not is_before(newest, to) then position = id_before(to) end
end
drop_pending(feed, group, '+')
redis.call('XGROUP', 'SETID', feed, group, position, 'ENTRIESREAD', string.format('%d', added - follow))
return {false, follow}
