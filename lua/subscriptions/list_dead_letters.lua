#!lua flags=no-writes
-- Reads a page of the dead letters of a subscription, those that failed first first. Those that are to be sent again
-- are left out.
--
-- Returns  [rows, more]  for each dead letter [id, failed_us, event]; 1 if there are more

local dead       = KEYS[1] -- hash    dead letters, see lib/dead_letter
local dead_order = KEYS[2] -- zset    order of the dead letters
local after      = ARGV[1] -- integer score of the last dead letter of the page before; 0 for the first page
local limit      = ARGV[2] -- integer maximum number of dead letters
local bytes      = ARGV[3] -- integer size of the dead letters at which the page ends

local rows, size = {}, 0
local found = redis.call('ZRANGEBYSCORE', dead_order, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
for i = 1, #found, 2 do
  if #rows == tonumber(limit) or size >= tonumber(bytes) then return {rows, 1} end
  local event = redis.call('HGET', dead, found[i])
  if event then
    rows[#rows + 1] = {found[i], string.format('%d', found[i + 1]), event}
    size = size + #event
  end
end
return {rows, 0}
