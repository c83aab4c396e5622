-- Marks a conversation as read up to a message. Only moves forward, and never past the end.
-- Without a shebang and with HDEL first, like read_conversation, for when memory is full.
--
-- Returns  nil  the answer is the state of the conversation
-- Changes  conversation.read
-- Given    state  seq, read:<user> of the conversation

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread   = KEYS[2] -- hash    user -> messages not yet read
local reader   = ARGV[1] -- string  user id
local peer     = ARGV[2] -- string  user id of the other one
local seq      = ARGV[3] -- integer up to here

local newest, read = tonumber(state.seq or 0), tonumber(state['read:' .. reader] or 0)
local target = math.min(tonumber(seq), newest)
if target <= read then return nil end

-- What is left is counted from the nearer end.
local oldest = newest - redis.call('LLEN', messages) + 1
local first = math.max(read + 1, oldest)
local left = 0
if target < newest and target - first < newest - target then
  left = tonumber(redis.call('HGET', unread, reader) or 0) - count_messages(KEYS, {peer, newest, first, target})
elseif target < newest then
  left = count_messages(KEYS, {peer, newest, math.max(target + 1, oldest), newest})
end
redis.call('HDEL', unread, reader)
if left > 0 then redis.call('HSET', unread, reader, left) end
return nil, {kind = 'conversation.read', meta = {'read:' .. reader, string.format('%.0f', target)}}
