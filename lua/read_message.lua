#!lua flags=no-writes
-- Finds one message of a conversation.
--
-- Returns  message  JSON
-- Errors   MESSAGE_NOT_FOUND  it is not there, or not for this user

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta     = KEYS[3] -- hash    seq, floor:<user>
local reader   = ARGV[1] -- string  user id
local seq      = ARGV[2] -- integer which one

local state = redis.call('HMGET', meta, 'seq', 'floor:' .. reader)
local index = tonumber(state[1] or 0) - seq
if index < 0 or tonumber(seq) <= tonumber(state[2] or 0) then
  return redis.error_reply('MESSAGE_NOT_FOUND there is no such message')
end
return redis.call('LINDEX', messages, index) or redis.error_reply('MESSAGE_NOT_FOUND there is no such message')
