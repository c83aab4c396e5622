-- Giving events of a partition to a consumer of a subscription.
--
-- reader  who reads: `group` and `consumer`; `types`, the wanted types, a comma before and after each; `wanted`, the names
--         of the wanted rooms likewise, empty for all conversations
-- reply   what one call gives: `events`, each as [partition, id, attempts, type, data], where the data of a new message is
--         the message; `left`, how many more there may be, and `size`, how many bytes of them; `skipped`, how many events
--         were read that are not wanted
--- @include "lib/message"
--- @include "lib/pending"
--- @include "lib/reader"

-- Entries that one command reads at most, and the size that each is expected to have at most, so that the reply exceeds
-- its size by little.
local STEP, ENTRY_BYTES = 20, 16000
-- Entries that one call skips, which takes about 3 ms.
local SKIPPED = 1000

-- Whether the reply may have further events.
local function has_space(reply)
  return reply.left > 0 and reply.size > 0
end

-- Returns how many of some entries to read next.
local function step_of(reply, count)
  return math.min(STEP, count, math.max(1, math.floor(reply.size / ENTRY_BYTES)))
end

-- Whether the reader wants an entry with these fields, see lib/feed.
local function is_wanted(reader, fields)
  local kind, of = fields[1], fields[2]
  if not string.find(reader.types, ',' .. kind .. ',', 1, true) then return false end
  if reader.wanted == '' then return true end
  if kind == 'message.created' then of = string.match(of, MESSAGE_TO) end
  return string.find(reader.wanted, ',' .. of .. ',', 1, true)
end

-- Notes who has the batch of a partition.
local function note_holder(reader, readers, lost)
  redis.call('HSET', readers, reader.group, lost .. '|' .. reader.consumer)
end

local function give(reply, partition, entry, attempts)
  local kind, of, _, data, _, message = unpack(entry[2])
  -- Badges have the message beside the data, or an empty one.
  if message and message ~= '' then data = string.sub(data, 1, -2) .. ',"message":' .. message .. '}' end
  data = data or of
  reply.events[#reply.events + 1] = {partition, entry[1], attempts, kind, data}
  reply.left, reply.size = reply.left - 1, reply.size - #data
end

-- Gives the pending entries of a partition again. `lost` as read_reader returns it.
local function give_again(reply, reader, partition, feed, readers, lost)
  local ids, counts = pending_ids(feed, reader.group, '-', '+', reply.left)
  local from = 1
  while from <= #ids and reply.size > 0 do
    local count = step_of(reply, #ids - from + 1)
    local some = {unpack(ids, from, from + count - 1)}
    from = from + count
    for _, entry in ipairs(redis.call('XCLAIM', feed, reader.group, READER, 0, unpack(some))) do
      give(reply, partition, entry, counts[entry[1]] + 1)
    end
  end
  note_holder(reader, readers, lost)
end

-- Gives new entries of a partition, and acknowledges those that are not wanted.
local function give_new(reply, reader, partition, feed, readers)
  local group, given = reader.group, 0
  while has_space(reply) and reply.skipped < SKIPPED do
    local count = step_of(reply, reply.left)
    local read = redis.call('XREADGROUP', 'GROUP', group, READER, 'COUNT', count, 'STREAMS', feed, '>')
    local entries, unwanted = read and read[1][2] or {}, {}
    for _, entry in ipairs(entries) do
      if is_wanted(reader, entry[2]) then
        give(reply, partition, entry, 1)
        given = given + 1
      else
        unwanted[#unwanted + 1] = entry[1]
      end
    end
    if #unwanted > 0 then redis.call('XACK', feed, group, unpack(unwanted)) end
    reply.skipped = reply.skipped + #unwanted
    if #entries < count then break end
  end
  if given > 0 then note_holder(reader, readers, (read_reader(readers, group))) end
end
