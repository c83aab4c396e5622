#!lua
-- Marks a conversation as unread from a message on. What the peer was told of reading stays.
--
-- Returns  nil  the answer is the state of the conversation
-- Changes  conversation.changed
-- Given    state  seq, read:<user>, seen:<user>, floor:<user> of the conversation
-- Errors   TOO_FAR_BACK  more messages would have to be counted than one call may take

local messages   = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread     = KEYS[2] -- hash    user -> messages not yet read
local reader     = ARGV[1] -- string  user id
local peer       = ARGV[2] -- string  user id of the other one
local seq        = ARGV[3] -- integer from here on
local scan_limit = ARGV[4] -- integer messages to count, at most

local newest, read = tonumber(state.seq or 0), tonumber(state['read:' .. reader] or 0)
local oldest = math.max(newest - redis.call('LLEN', messages), tonumber(state['floor:' .. reader] or 0)) + 1
local from = math.max(tonumber(seq), oldest)
if from > read or from > newest then return nil end
if newest - from >= tonumber(scan_limit) then
  return redis.error_reply('TOO_FAR_BACK the message is too far back to mark as unread from there on')
end

local count = count_messages(KEYS, {peer, newest, from, newest})
local seen = math.max(read, tonumber(state['seen:' .. reader] or 0))
redis.call('HDEL', unread, reader)
if count > 0 then redis.call('HSET', unread, reader, count) end
return nil, {
  kind = 'conversation.changed', only = reader,
  meta = {'read:' .. reader, string.format('%.0f', from - 1), 'seen:' .. reader, string.format('%.0f', seen)},
}
