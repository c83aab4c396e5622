#!lua flags=allow-oom
--- @include "lib/archive"
--- @include "lib/archive_change"
--- @include "lib/message"
-- Moves the oldest messages of a conversation to the archive, if they are still those that an object was written of.
--
-- Returns  sealed  1 if they were moved; 0 if they have changed, and nothing was done

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the conversation, see lib/archive
local garbage  = KEYS[3] -- zset    objects of the partition to delete -> when, in ms
local name     = ARGV[1] -- string  pair or name of the room
local folder   = ARGV[2] -- string  folder of the objects of the conversation
local object   = ARGV[3] -- string  what distinguishes the object, see lib/archive
local due      = ARGV[4] -- integer when the object is deleted unless it counts, in milliseconds since 1970
local count    = ARGV[5] -- integer number of messages
local digest   = ARGV[6] -- string  SHA-1 of the messages, newest first, with newlines between them

local moved = redis.call('LRANGE', messages, '-' .. count, '-1')
if #moved ~= tonumber(count) or redis.sha1hex(table.concat(moved, '\n')) ~= digest then return 0 end
local low, high = string.match(moved[#moved], MESSAGE_HEAD), string.match(moved[1], MESSAGE_HEAD)
local unsealed = object_name(folder, low, object)
if not is_unsealed(garbage, unsealed, due) then return 0 end

-- The author of each message of a pair; those of rooms do not count.
local first_user, authors, byte = string.match(name, '^([^,]*),'), {}, 0
for i = 0, first_user and #moved - 1 or -1 do
  local from, next_member = string.match(moved[#moved - i], MESSAGE_AUTHOR)
  local author = from == first_user and BY_FIRST or BY_SECOND
  byte = byte + (next_member == TOMBSTONE and BY_NOBODY or author) * 4 ^ (i % 4)
  if i % 4 == 3 or i == #moved - 1 then
    authors[#authors + 1] = string.char(byte)
    byte = 0
  end
end
local _, sent_at = string.match(moved[#moved], MESSAGE_ENVELOPE)
local segment = {low = low, high = high, sent_at = sent_at, object = object, authors = table.concat(authors)}
local first, last, from, from_sent_at = string.match(redis.call('HGET', meta, ARCHIVE_FIELD) or '', ARCHIVE)
if not first then first, last = '1', '0' end
if not from or from == '0' then from, from_sent_at = low, sent_at end
last = string.format('%d', last + 1)

redis.call('LTRIM', messages, '0', string.format('%d', -1 - count))
redis.call('HSET', meta, SEGMENT_FIELD .. last, format_segment(segment),
  ARCHIVE_FIELD, first .. '|' .. last .. '|' .. from .. '|' .. from_sent_at)
redis.call('ZREM', garbage, unsealed)
return 1
