#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/pending"
--- @include "lib/reader"
-- Drops the events of a feed that all groups have acknowledged and that are older than those kept for replays; and,
-- whether they were read or not, those that are too old or too many. Removes groups of subscriptions that do not exist,
-- or whose settings do not ask for them.
--
-- Returns  [dropped, kept, [[group, lag, pending, lost], ...]]  number of events dropped and left; for each group what
--          lua/subscriptions/describe_feed.lua counts

local feed    = KEYS[1] -- stream  feed of a partition
local readers = KEYS[2] -- hash    group -> lost|consumer, see lib/reader
local keep    = ARGV[1] -- string  id from which on events are kept for replays
local oldest  = ARGV[2] -- string  id from which on events are kept for groups that have not read them
local limit   = ARGV[3] -- integer maximum number of events
-- Then for each subscription that there was some seconds ago its group, and 0 if the settings ask for the group here,
-- otherwise their revision
local groups  = {unpack(ARGV, 4)}

-- Age at which a group without subscription is removed, in microseconds: its subscription may have been created since.
local ORPHANED_US = 60000000

-- Whether a group is to stay. `revision` as in ARGV; nil if there was no subscription.
local function is_needed(group, revision)
  if revision then return revision == '0' or is_outdated(readers, group, revision) end
  return tonumber(string.match(group, '(%d+)$') or 0) > now_us() - ORPHANED_US
end

-- Returns the groups of the feed that are to stay, and the names of the others.
local function sort_groups()
  local revisions, found, orphaned = {}, {}, {}
  for i = 1, #groups, 2 do revisions[groups[i]] = groups[i + 1] end
  for _, group in ipairs(groups_of(feed)) do
    local name = group.name
    if is_needed(name, revisions[name]) then found[#found + 1] = group else orphaned[#orphaned + 1] = name end
  end
  return found, orphaned
end

local found, orphaned = sort_groups()
if #found == 0 then
  redis.call('UNLINK', feed, readers)
  return {0, 0, {}}
end
for _, group in ipairs(orphaned) do redis.call('XGROUP', 'DESTROY', feed, group) end

-- What no group needs any more.
local acknowledged = keep
for _, group in ipairs(found) do
  local pending = pending_ids(feed, group.name, '-', '+', 1)[1]
  local needed = pending or id_after(group['last-delivered-id'])
  if is_before(needed, acknowledged) then acknowledged = needed end
end
local dropped = redis.call('XTRIM', feed, 'MINID', acknowledged)
-- What is dropped unread.
local unread = is_before(acknowledged, oldest) and redis.call('XTRIM', feed, 'MINID', oldest) or 0
unread = unread + redis.call('XTRIM', feed, 'MAXLEN', limit)

local backlogs = {}
local added, kept, newest = describe_stream(feed)
local first = redis.call('XRANGE', feed, '-', '+', 'COUNT', 1)[1]
local cut = first and first[1] or id_after(newest)
for i, group in ipairs(found) do
  local name, lag, pending, gone = group.name, group.lag or tonumber(kept), group.pending, 0
  if unread > 0 then lag, pending, gone = move_group(feed, group, cut, added, kept) end
  local lost, consumer = read_reader(readers, name)
  if gone > 0 then
    lost = string.format('%d', lost + gone)
    redis.call('HSET', readers, name, lost .. '|' .. consumer)
  end
  backlogs[i] = {name, lag, pending, tonumber(lost)}
end
-- Last, because the hash is gone with its last field.
for _, name in ipairs(orphaned) do redis.call('HDEL', readers, name, attempts_field(name), revision_field(name)) end
return {dropped + unread, tonumber(kept), backlogs}
