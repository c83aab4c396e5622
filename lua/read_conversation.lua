-- Cuts a page from a conversation, tells what its reader has not read, and marks it all as read.
-- Without a shebang and with HDEL first on purpose: so Redis lets it write when memory is full.
--
-- Returns  [history, unread_count, unread, marks, next_before, next_after]
--          history and unread are messages, newest first; the cursors are 0 where there is none;
--          marks are [last_seq, read_seq, peer_read_seq, peer_delivered_seq, muted, blocked]
-- Changes  conversation.read
-- Given    state  seq, read:<user>, seen:<user>, delivered:<user>, floor:<user>, muted:<user>,
--          blocked:<user> of the conversation

local messages     = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread       = KEYS[2] -- hash    user -> messages not yet read
local reader       = ARGV[1] -- string  user id
local peer         = ARGV[2] -- string  user id of the other one
local limit        = ARGV[3] -- integer messages of history, at most
local before       = ARGV[4] -- integer only older ones than this seq; empty for any
local after        = ARGV[5] -- integer only newer ones than this seq; empty for any
local around       = ARGV[6] -- integer this one and half the page on each side; empty for any
local peek         = ARGV[7] -- flag    1 marks nothing as read
local unread_limit = ARGV[8] -- integer unread messages to return, at most
local scan_limit   = ARGV[9] -- integer messages to search for unread ones, at most

local newest, read = tonumber(state.seq or 0), tonumber(state['read:' .. reader] or 0)
local oldest = math.max(newest - redis.call('LLEN', messages), tonumber(state['floor:' .. reader] or 0)) + 1
local peer_read = math.max(tonumber(state['read:' .. peer] or 0), tonumber(state['seen:' .. peer] or 0))
local count = tonumber(redis.call('HGET', unread, reader) or 0)

-- The message of seq s stands at index newest - s of the list.
local function range(high, low)
  return redis.call('LRANGE', messages, newest - high, newest - low)
end

local high, low
if after ~= '' then
  low = math.max(tonumber(after) + 1, oldest)
  high = math.min(low + limit - 1, newest)
elseif around ~= '' then
  low = math.max(around - math.floor(limit / 2), oldest)
  high = math.min(around - math.floor(limit / 2) + limit - 1, newest)
else
  high = math.min((tonumber(before) or newest + 1) - 1, newest)
  low = math.max(high - limit + 1, oldest)
end
local history, next_before, next_after = {}, 0, 0
if high >= low then
  history = range(high, low)
  if low > oldest then next_before = low end
  if high < newest then next_after = high end
end

-- The reader's own messages and deleted ones stand between those that count, so search in steps.
local found, from = {}, newest
local wanted = math.min(count, unread_limit)
local last = math.max(read + 1, oldest, newest - scan_limit + 1)
while #found < wanted and from >= last do
  local to = math.max(from - math.max(wanted - #found, 16) + 1, last)
  for _, message in ipairs(range(from, to)) do
    local sender = string.match(message, '^{"seq":%d+,"id":"[^"]*","from":"([^"]*)"')
    local deleted = string.find(message, '^,"deleted_at":"[^"]*"}$', -41)
    if #found < wanted and sender == peer and not deleted then found[#found + 1] = message end
  end
  from = to - 1
end

local change
if peek ~= '1' and read < newest then
  redis.call('HDEL', unread, reader)
  change = {kind = 'conversation.read', meta = {'read:' .. reader, state.seq}}
end
local marks = {
  newest, read, peer_read, math.max(tonumber(state['delivered:' .. peer] or 0), peer_read),
  tonumber(state['muted:' .. reader] or 0), tonumber(state['blocked:' .. reader] or 0),
}
return {history, count, found, marks, next_before, next_after}, change
