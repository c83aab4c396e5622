-- The readers of a feed. A subscription is a consumer group of the feed of each partition, named by the subscription
-- and a generation, which is when it was created, in microseconds since 1970: a subscription of the same name that
-- is created later is another group. All entries of a group belong to one consumer of Redis, because a partition has
-- one batch of a subscription in flight. Which consumer of the subscription has it stands in the hash of the
-- readers of the partition: group -> lost|consumer, where lost is the number of events that were dropped unread.
-- Of a subscription that is pushed, the consumer is the process that sends its events, and a further field has the
-- event that its endpoint has not taken: entry|count|first_ms|next_ms|status, which is the id of the event, how often it
-- failed, when it failed first, when it is to be sent again, and the status of the last answer, if there was one.
-- If a change of the settings asked for the group, another field has the revision of the settings then, see
-- lib/subscription: a process that is late with an earlier revision must not remove the group.

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

-- Returns the field of the event that the endpoint of a subscription has not taken.
local function attempts_field(group)
  return group .. ',attempts'
end

-- Returns the field of the revision of the settings that asked for a group.
local function revision_field(group)
  return group .. ',revision'
end

-- Whether later settings asked for the group than those of a revision.
local function is_outdated(readers, group, revision)
  return tonumber(redis.call('HGET', readers, revision_field(group)) or 0) > tonumber(revision)
end

-- Returns what a field of attempts says; nil if there is none.
local function parse_attempts(text)
  local entry, count, first_ms, next_ms = string.match(text or '', '^([%d-]+)|(%d+)|(%d+)|(%d+)|')
  return entry and {entry = entry, count = count, first_ms = first_ms, next_ms = next_ms}
end

-- Returns such a field as it is stored.
local function format_attempts(entry, count, first_ms, next_ms, status)
  return string.format('%s|%s|%d|%d|%s', entry, count, first_ms, next_ms, status)
end
