#!lua flags=allow-oom
-- Marks dead letters of a subscription as to be sent again.
--
-- Returns  marked  their number

local dead_order = KEYS[1] -- zset    order of the dead letters, see lib/dead_letter
local limit      = ARGV[1] -- integer maximum number, if there are no ids
-- Then the ids of the events
local ids        = {unpack(ARGV, 2)}

local changes = {}
if #ids == 0 then
  local found = redis.call('ZRANGEBYSCORE', dead_order, '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do
    changes[i], changes[i + 1] = '-' .. found[i + 1], found[i]
  end
else
  for i, score in ipairs(redis.call('ZMSCORE', dead_order, unpack(ids))) do
    if score and tonumber(score) > 0 then
      changes[#changes + 1] = '-' .. score
      changes[#changes + 1] = ids[i]
    end
  end
end
if #changes > 0 then redis.call('ZADD', dead_order, unpack(changes)) end
return #changes / 2
