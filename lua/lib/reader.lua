-- The readers of a feed. A subscription is a consumer group of the feed of each partition, named by the subscription
-- and a generation, which is when it was created, in microseconds since 1970: a subscription of the same name that
-- is created later is another group. All entries of a group belong to one consumer of Redis, because a partition has
-- one batch of a subscription in flight. Which consumer of the subscription has it stands in the hash of the
-- readers of the partition: group -> lost|consumer, where lost is the number of events that were dropped unread.

-- The consumer of Redis.
local READER = 'r'

-- Returns the fields of a flat reply of XINFO.
local function fields_of(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Returns what Redis says of a feed, as text: the number of events ever appended, the number of those that are kept,
-- and the id of the newest. For a feed that does not exist: '0', '0', '0-0'.
local function describe_stream(feed)
  if redis.call('EXISTS', feed) == 0 then return '0', '0', '0-0' end
  local stream = fields_of(redis.call('XINFO', 'STREAM', feed))
  return string.format('%d', stream['entries-added']), string.format('%d', stream.length), stream['last-generated-id']
end

-- Returns the groups of a feed as XINFO has them.
local function groups_of(feed)
  if redis.call('EXISTS', feed) == 0 then return {} end
  local groups = {}
  for i, flat in ipairs(redis.call('XINFO', 'GROUPS', feed)) do groups[i] = fields_of(flat) end
  return groups
end

-- Returns the group of this name; nil if the feed does not have it.
local function find_group(feed, name)
  for _, group in ipairs(groups_of(feed)) do
    if group.name == name then return group end
  end
end

-- Returns how many events a group lost, and which consumer has its batch, or had the last one; as text.
local function read_reader(readers, group)
  return string.match(redis.call('HGET', readers, group) or '0|', '^(%d+)|(.*)$')
end
