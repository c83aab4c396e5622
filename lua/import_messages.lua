#!lua
-- Appends messages from elsewhere to a conversation, oldest first, as read by both. What an earlier
-- attempt at the same import appended already is found and left out, so an import that broke off is
-- simply sent again.
--
-- Returns  imported  how many were appended
-- Changes  conversation.changed
-- Given    state  seq, imported (that of the last imported message) of the conversation
-- Errors   IMPORT_CONFLICT  what is there is not what was imported before

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local first    = ARGV[1] -- string  user id
local second   = ARGV[2] -- string  user id
local sent_us  = ARGV[3] -- integer when the last one was sent, in microseconds since 1970
-- then for each message its id and its JSON from the second member on: '"id":...}'
local items    = {unpack(ARGV, 4)}

local newest = tonumber(state.seq or 0)
local function sent_at(message) return string.match(message, '"sent_at":"([^"]*)"') end
local function id(message) return string.match(message, '"id":"([^"]*)"') end
local function stored(seq) return redis.call('LINDEX', messages, newest - seq) end
local function conflict(why) return redis.error_reply('IMPORT_CONFLICT ' .. why) end

-- Where the first of them stands, if it does: times rise with the places.
local time = sent_at(items[2])
local from, to = newest - redis.call('LLEN', messages) + 1, newest + 1
while from < to do
  local middle = math.floor((from + to) / 2)
  if sent_at(stored(middle)) < time then from = middle + 1 else to = middle end
end
while from <= newest and sent_at(stored(from)) == time and id(stored(from)) ~= items[1] do from = from + 1 end
if from <= newest and id(stored(from)) ~= items[1] then
  return conflict('a message is older than those that are there, and not one of them')
end

local start = 1
while start < #items and from <= newest do
  if id(stored(from)) ~= items[start] then
    return conflict('the messages that are there are not those that were imported before')
  end
  start, from = start + 2, from + 1
end
if start > #items then return 0 end
if (state.seq or '0') ~= (state.imported or '0') then
  return conflict('messages were sent here since')
end

local seq, appended = newest, {}
for i = start, #items, 2 do
  seq = seq + 1
  appended[#appended + 1] = '{"seq":' .. string.format('%.0f', seq) .. ',' .. items[i + 1]
end
redis.call('LPUSH', messages, unpack(appended))
local number = string.format('%.0f', seq)
return #appended, {
  kind = 'conversation.changed', active = sent_us,
  meta = {'seq', number, 'imported', number, 'read:' .. first, number, 'read:' .. second, number},
}
