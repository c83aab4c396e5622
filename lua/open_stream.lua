-- Opens the stream of a user who is about to listen: from now on the journal is kept.
-- Without a shebang and with EXPIRE first, which takes no memory, for when memory is full.
--
-- Returns  [epoch, useq, total, unread_conversations]  where the stream is, and the user's badge

local conversations = KEYS[1] -- hash    totals: useq|epoch|total|unread conversations|listening; a row a conversation
local journal       = KEYS[2] -- list    the last events, newest first
local keep_s        = ARGV[1] -- integer seconds to keep the journal of a user who is away

local kept = redis.call('EXPIRE', journal, keep_s)
local totals = redis.call('HGET', conversations, 'totals')
if not totals then
  local clock = redis.call('TIME')
  totals = '0|' .. string.format('%.0f', clock[1] * 1000000 + clock[2]) .. '|0|0|0'
end
local useq, epoch, total, with_unread, listening = string.match(totals, '^(%d+)|(%d+)|(%d+)|(%d+)|(%d)$')
if kept == 0 then
  -- What LPUSHX finds, and how far back the journal goes.
  redis.call('RPUSH', journal, '{"cursor":"' .. epoch .. '-' .. useq .. '"}')
  redis.call('EXPIRE', journal, keep_s)
end
if listening == '0' then
  redis.call('HSET', conversations, 'totals', string.sub(totals, 1, -2) .. '1')
end
return {epoch, useq, tonumber(total), tonumber(with_unread)}
