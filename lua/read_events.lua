#!lua flags=no-writes
-- Reads the stream of a user from a cursor on, oldest first: every event as far back as the journal
-- goes; before that a `conversation.changed` for each conversation that changed since; a `reset` if
-- the cursor is not of this stream.
-- Among the conversations a cursor is rough, and ends in `~`: those are told that did not change behind
-- it, of the others nothing, not even what came before it. So whoever goes on from there goes on with
-- conversations, even if the journal reaches back to there; behind the last one the cursor is exact.
--
-- Returns  [events, more]  as JSON; 1 if there are more

local conversations = KEYS[1] -- hash    totals: useq|epoch|total|unread conversations|listening; a row a conversation
local journal       = KEYS[2] -- list    the last events, newest first; the oldest may be a mere cursor
local user          = ARGV[1] -- string  user id
local epoch         = ARGV[2] -- integer epoch of the cursor
local useq          = ARGV[3] -- integer number of the cursor
local rough         = ARGV[4] -- string  `~` if the cursor is rough; else empty
local limit         = ARGV[5] -- integer events to answer, at most
local bytes         = ARGV[6] -- integer bytes of events to answer, about

local totals = redis.call('HGET', conversations, 'totals') or '0|0|0|0|0'
local newest, current, total, with_unread = string.match(totals, '^(%d+)|(%d+)|(%d+)|(%d+)')
local after, head = tonumber(useq), tonumber(newest)
local badge = '"total_unread_count":' .. total .. ',"unread_conversations":' .. with_unread .. '}'

local reset = {{'{"type":"reset","cursor":"' .. current .. '-' .. newest .. '",' .. badge}, 0}
if epoch ~= current or after > head then
  return reset
elseif after == head and rough == '' then
  return {{}, 0}
end

local function number_of(event)
  return tonumber(string.match(event or '', '"cursor":"%d+%-(%d+)"') or -1)
end

local function prev_of(event)
  return tonumber(string.match(event, '^{"type":"[^"]*","cursor":"[^"]*","prev":"%d+%-(%d+)"'))
end

-- Where the journal begins: behind the event before its oldest one.
local length, oldest = redis.call('LLEN', journal), redis.call('LINDEX', journal, -1) or ''
local begins = prev_of(oldest) or number_of(oldest)

if rough == '' and begins >= 0 and begins <= after and number_of(redis.call('LINDEX', journal, 0)) == head then
  -- The oldest event that is newer than the cursor, by halving.
  local low, high = 0, length - 1
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if number_of(redis.call('LINDEX', journal, middle)) > after then low = middle else high = middle - 1 end
  end
  local some = redis.call('LRANGE', journal, math.max(low - limit + 1, 0), low)
  -- An event that the store lost again, and perhaps others with it.
  if prev_of(some[#some]) ~= after then return reset end
  local events, size = {}, 0
  for i = #some, 1, -1 do
    if size > tonumber(bytes) then break end
    events[#events + 1], size = some[i], size + #some[i]
  end
  return {events, #events <= low and 1 or 0}
end

local changed, rows = {}, redis.call('HGETALL', conversations)
for i = 1, #rows, 2 do
  local number = rows[i] ~= 'totals' and tonumber(string.match(rows[i + 1], '^%d+|(%d+)|'))
  if number and number > after then changed[#changed + 1] = {number, rows[i], rows[i + 1]} end
end
table.sort(changed, function(one, other) return one[1] < other[1] end)
-- Only while the user is being erased, or where the store lost what they did.
if #changed == 0 then return reset end

local events, prev = {}, useq .. rough
for i = 1, math.min(#changed, limit) do
  local _, pair, row = unpack(changed[i])
  local peer = string.sub(pair, 1, #user + 1) == user .. ':' and string.sub(pair, #user + 2)
    or string.sub(pair, 1, -#user - 2)
  local number, unread, last, read, peer_read, delivered = string.match(row, '^%d+|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)|(%d+)')
  local place = i == #changed and newest or number .. '~'
  events[i] = '{"type":"conversation.changed","cursor":"' .. epoch .. '-' .. place .. '","prev":"' .. epoch .. '-' .. prev
    .. '","peer":"' .. peer .. '","unread_count":' .. unread .. ',"last_seq":' .. last .. ',"read_seq":' .. read
    .. ',"peer_read_seq":' .. peer_read .. ',"peer_delivered_seq":' .. delivered .. ',' .. badge
  prev = place
end
return {events, #changed > #events and 1 or 0}
