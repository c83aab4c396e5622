#!lua flags=no-writes
-- Lists objects that are to be deleted, part by part.
--
-- Returns  [cursor, objects]  position of the next part, 0 at the end; names of objects, some of them possibly twice

local garbage = KEYS[1] -- zset    objects of the partition to delete -> when, in ms
local cursor  = ARGV[1] -- integer position of the scan; 0 to begin
local count   = ARGV[2] -- integer approximate number of objects to look at

local step, objects = redis.call('ZSCAN', garbage, cursor, 'COUNT', count), {}
for i = 1, #step[2], 2 do objects[#objects + 1] = step[2][i] end
return {step[1], objects}
