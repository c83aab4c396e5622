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

-- Returns the groups of a feed.
local function groups_of(feed)
  if redis.call('EXISTS', feed) == 0 then return {} end
  local groups = {}
  for i, flat in ipairs(redis.call('XINFO', 'GROUPS', feed)) do groups[i] = fields_of(flat) end
  return groups
end

-- Returns how many events a group lost, and which consumer has its batch, or had the last one; as text.
local function read_reader(readers, group)
  return string.match(redis.call('HGET', readers, group) or '0|', '^(%d+)|(.*)$')
end

-- Returns the ids of up to `limit` entries that a group was given and has not acknowledged, oldest first, and
-- how often each was given. `first` and `last` are bounds as XPENDING has them.
local function pending_ids(feed, group, first, last, limit)
  local ids, counts = {}, {}
  for i, entry in ipairs(redis.call('XPENDING', feed, group, first, last, limit)) do
    ids[i], counts[entry[1]] = entry[1], entry[4]
  end
  return ids, counts
end
