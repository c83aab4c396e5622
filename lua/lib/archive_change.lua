-- Changes of messages that may be in the archive.
--- @include "lib/archive"
--- @include "lib/clock"

-- Returns the name of an object, as it is in the garbage of the partition.
local function object_name(folder, low, object)
  return string.format('%s/%d-%s', folder, low, object)
end

-- Whether an object is noted as garbage since it was written, and nobody deletes it yet.
local function is_unsealed(garbage, name, due)
  local score = redis.call('ZSCORE', garbage, name)
  return score and tonumber(score) == tonumber(due)
end

-- Returns nil if the message that stored_message returned can be replaced now. If it is in the archive, and the caller
-- has not written the object with its replacement, returns what the script has to return, so that the caller writes
-- it and calls again: [seq, low, high, object, text], the text being the replacement. An object that has this text
-- already is not written again.
local function missing_object(conversation, seq, text, held)
  local segment = conversation.segment
  if not segment then return end
  if held.new_object == '' then
    if held.text == text then return end
  elseif is_unsealed(held.garbage, object_name(held.folder, segment.low, held.new_object), held.due) then
    return
  end
  return {tonumber(seq), segment.low, segment.high, segment.object, text}
end

-- Writes a segment that was loaded and changed.
local function save_segment(conversation, segment)
  redis.call('HSET', conversation.meta, SEGMENT_FIELD .. segment.number, format_segment(segment))
end

-- Makes the new object of a segment the one that counts. The old one is deleted later, when nobody reads it any more
-- and no backup of Redis names it.
local function swap_object(conversation, segment, held)
  redis.call('ZREM', held.garbage, object_name(held.folder, segment.low, held.new_object))
  redis.call('ZADD', held.garbage, string.format('%d', now_us() / 1000 + held.grace_ms),
    object_name(held.folder, segment.low, segment.object))
  segment.object = held.new_object
  save_segment(conversation, segment)
end

-- Notes that a message of a segment is deleted.
local function forget_author(segment, seq)
  local index = seq - segment.low
  local at = math.floor(index / 4) + 1
  local byte = string.byte(segment.authors, at) - author_in(segment, tonumber(seq)) * 4 ^ (index % 4)
  segment.authors = string.sub(segment.authors, 1, at - 1) .. string.char(byte) .. string.sub(segment.authors, at + 1)
end

-- Replaces the message that stored_message returned.
--
-- text     JSON to replace it by
-- deletes  true if that is a tombstone
local function put_message(conversation, seq, text, held, deletes)
  local segment = conversation.segment
  if not segment then return redis.call('LSET', conversation.messages, conversation.seq - seq, text) end
  if deletes and segment.authors ~= '' then forget_author(segment, seq) end
  if held.new_object == '' then return save_segment(conversation, segment) end
  swap_object(conversation, segment, held)
end

-- Writes what the retention dropped of the archive.
local function save_archive(conversation)
  local archive = conversation.archive
  if not archive or not archive.changed then return end
  local from = archive.from < conversation.hot_from and archive.from or 0
  redis.call('HSET', conversation.meta, ARCHIVE_FIELD,
    string.format('%d|%d|%d|%s', archive.first, archive.last, from, archive.sent_at))
end

-- Notes the objects of segments as garbage, of which nothing is kept any more, from the oldest one on.
--
-- archived      `archive` of the meta hash as it is stored
-- up_to         seq up to which nothing is kept; nil if nothing is
-- garbage       objects of the partition to delete
-- folder        folder of the objects of the conversation
-- grace_ms      how long the objects are kept, in milliseconds
-- limit         maximum number of segments
--
-- Returns  number of segments, and that of the oldest one that is left
local function drop_segments(conversation, archived, up_to, garbage, folder, grace_ms, limit)
  local first, last = string.match(archived, ARCHIVE)
  local number, due = tonumber(first), string.format('%d', now_us() / 1000 + grace_ms)
  while number <= tonumber(last) and number - first < limit do
    local segment = load_segment(conversation, number)
    if up_to and segment.high > up_to then break end
    redis.call('ZADD', garbage, due, object_name(folder, segment.low, segment.object))
    redis.call('HDEL', conversation.meta, SEGMENT_FIELD .. number)
    number = number + 1
  end
  return number - first, number
end

-- Writes that the segments before a number were dropped.
--
-- archived  `archive` of the meta hash as it is stored
-- from      seq of the oldest message that is kept
local function save_first_segment(conversation, archived, number, from)
  local _, last, _, sent_at = string.match(archived, ARCHIVE)
  redis.call('HSET', conversation.meta, ARCHIVE_FIELD,
    string.format('%d', number) .. '|' .. last .. '|' .. from .. '|' .. sent_at)
end

-- Number of objects that one call gives up, which takes Redis about 2 ms.
local GIVEN_UP = 1000

-- Notes the objects of a conversation that is being deleted as garbage: some of them in each call.
--
-- Returns  whether there are more
local function give_up_archive(conversation, garbage, folder, grace_ms)
  local archived = redis.call('HGET', conversation.meta, ARCHIVE_FIELD)
  if not archived then return false end
  local dropped, first = drop_segments(conversation, archived, nil, garbage, folder, grace_ms, GIVEN_UP)
  local segment = dropped == GIVEN_UP and load_segment(conversation, first)
  if not segment then return false end
  save_first_segment(conversation, archived, first, string.format('%d', segment.low))
  return true
end
