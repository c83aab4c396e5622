#!lua
-- Files how a user sees a conversation into the user's inbox, and tells the user's devices.
-- Takes absolute state and keeps the newer one, so it may be repeated, late or out of order.
--
-- Returns  useq  the number of this change for the user, or of the last one if it is not newer

local inbox          = KEYS[1]  -- zset    pair -> version of its last message: the order of the inbox
local conversations  = KEYS[2]  -- hash    pair -> row; totals: useq|epoch|total|unread conversations|listening
local journal        = KEYS[3]  -- list    the last events, newest first, of a user who listens
local live           = KEYS[4]  -- channel of the user's events
local pair           = ARGV[1]  -- string  the two users, sorted and joined
local peer           = ARGV[2]  -- string  user id of the other one
local ver            = ARGV[3]  -- integer version of the conversation
local active         = ARGV[4]  -- integer version of its last message; 0 if it is not to be listed
local unread         = ARGV[5]  -- integer messages of the peer not yet read
local last_seq       = ARGV[6]  -- integer newest message
local read_seq       = ARGV[7]  -- integer up to where the user has read
local peer_read      = ARGV[8]  -- integer up to where the peer has read
local peer_delivered = ARGV[9]  -- integer up to where the peer's devices have received
local muted          = ARGV[10] -- flag    1 if the user muted the conversation
local blocked        = ARGV[11] -- flag    1 if the user blocked the peer
local kind           = ARGV[12] -- string  what changed, as the event says it
local message        = ARGV[13] -- string  the message that changed, as JSON; empty if none did
local journal_limit  = ARGV[14] -- integer events to keep, at least

local stored = redis.call('HMGET', conversations, 'totals', pair)
local prev, epoch, total, with_unread, listening =
  string.match(stored[1] or '0|' .. ver .. '|0|0|0', '^(%d+)|(%d+)|(%d+)|(%d+)|(%d)$')
local old_ver, old_unread = string.match(stored[2] or '0|0|0|', '^(%d+)|%d+|(%d+)|')

-- A hybrid clock like the version, which it follows. It is never behind the version of a row, so
-- what is newer than all that was filed is newer than what was filed of this conversation.
local useq = ver
if tonumber(prev) >= tonumber(ver) then
  if tonumber(old_ver) >= tonumber(ver) then return prev end
  useq = string.format('%d', prev + 1)
end
if unread ~= old_unread then
  total = string.format('%d', total + unread - old_unread)
  if unread == '0' or old_unread == '0' then
    with_unread = string.format('%d', with_unread + (unread == '0' and -1 or 1))
  end
end

-- Whoever never listened, or not for so long that the journal is gone, needs no event: making one
-- takes as long as all the rest.
if listening == '1' then
  local event = '{"type":"' .. kind .. '","cursor":"' .. epoch .. '-' .. useq .. '","prev":"' .. epoch .. '-' .. prev
    .. '","peer":"' .. peer .. '","unread_count":' .. unread .. ',"last_seq":' .. last_seq .. ',"read_seq":' .. read_seq
    .. ',"peer_read_seq":' .. peer_read .. ',"peer_delivered_seq":' .. peer_delivered .. ',"total_unread_count":'
    .. total .. ',"unread_conversations":' .. with_unread .. (message == '' and '' or ',"message":') .. message .. '}'
  local events = redis.call('LPUSHX', journal, event)
  if events == 0 then
    listening = '0'
  else
    -- Not at every event: dropping one is a call like any other.
    if events % 64 == 0 then redis.call('LTRIM', journal, 0, journal_limit - 1) end
    redis.call('PUBLISH', live, event)
  end
end

-- The totals first: they are looked up most, and small hashes are searched from the front.
redis.call('HSET', conversations,
  'totals', useq .. '|' .. epoch .. '|' .. total .. '|' .. with_unread .. '|' .. listening,
  pair, ver .. '|' .. useq .. '|' .. unread .. '|' .. last_seq .. '|' .. read_seq .. '|' .. peer_read .. '|'
    .. peer_delivered .. '|' .. muted .. '|' .. blocked)
if active == '0' then
  redis.call('ZREM', inbox, pair)
else
  redis.call('ZADD', inbox, active, pair)
end
return useq
