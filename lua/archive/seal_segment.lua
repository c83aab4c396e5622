#!lua flags=allow-oom
--- @include "lib/archive"
--- @include "lib/archive_change"
--- @include "lib/version"
-- Moves the oldest messages of a conversation to the archive, if they are still those that an object was written of.
--
-- Returns  sealed  1 if they were moved; 0 if they have changed, and nothing was done

local messages = KEYS[1] -- list    messages of a pair or a room as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the conversation, see lib/archive, lib/state and lib/room
local garbage  = KEYS[3] -- zset    objects of the partition to delete -> when, in ms
local folder   = ARGV[1] -- string  folder of the objects of the conversation
local object   = ARGV[2] -- string  what distinguishes the object, see lib/archive
local due      = ARGV[3] -- integer when the object is deleted unless it counts, in milliseconds since 1970
local version  = ARGV[4] -- integer version of the conversation before the messages were read
local low      = ARGV[5] -- integer seq of the oldest message
local count    = ARGV[6] -- integer number of messages
local sent_at  = ARGV[7] -- string  when the oldest message was sent
local authors  = ARGV[8] -- string  who wrote each message, see lib/archive
local digest   = ARGV[9] -- string  SHA-1 of the messages, newest first, with newlines between them

local seq, present = parse_version(redis.call('HGET', meta, 'state'))
if not seq or seq - redis.call('LLEN', messages) + 1 ~= tonumber(low) then return 0 end
-- Each change of a message is a new version, but not each version changes one of these. Reading them takes Redis a
-- millisecond.
if present ~= version then
  local moved = redis.call('LRANGE', messages, '-' .. count, '-1')
  if #moved ~= tonumber(count) or redis.sha1hex(table.concat(moved, '\n')) ~= digest then return 0 end
end
local unsealed = object_name(folder, low, object)
if not is_unsealed(garbage, unsealed, due) then return 0 end

local segment = {low = low, high = low + count - 1, sent_at = sent_at, object = object, authors = authors}
local first, last, from, from_sent_at = string.match(redis.call('HGET', meta, ARCHIVE_FIELD) or '', ARCHIVE)
if not first then first, last = '1', '0' end
if not from or from == '0' then from, from_sent_at = low, sent_at end
last = string.format('%d', last + 1)

redis.call('LTRIM', messages, '0', string.format('%d', -1 - count))
redis.call('HSET', meta, SEGMENT_FIELD .. last, format_segment(segment),
  ARCHIVE_FIELD, first .. '|' .. last .. '|' .. from .. '|' .. from_sent_at)
redis.call('ZREM', garbage, unsealed)
return 1
