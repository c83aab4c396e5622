#!lua flags=no-writes
--- @include "lib/archive"
-- Lists the objects of the segments of a conversation, also of those that the retention dropped and nobody forgot yet.
--
-- Returns  [objects, next]  what distinguishes each, see lib/archive; the number of the segment to continue with, 0 at the
--          end

local meta  = KEYS[1] -- hash    everything else of the conversation, see lib/archive
local start = ARGV[1] -- integer number of the segment to begin with; 0 for the first one
local limit = ARGV[2] -- integer maximum number of segments

local first, last = string.match(redis.call('HGET', meta, ARCHIVE_FIELD) or '', ARCHIVE)
if not first then return {{}, 0} end
first, last = math.max(tonumber(first), tonumber(start)), tonumber(last)
local conversation, objects, high = {meta = meta}, {}, math.min(first + limit - 1, last)
for number = first, high do objects[#objects + 1] = load_segment(conversation, number).object end
return {objects, high < last and high + 1 or 0}
