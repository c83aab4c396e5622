#!lua
-- Appends a message to its conversation and counts it as unread for the recipient.
--
-- Returns  seq  the message's place in the conversation
-- Errors   REPLY_TO_NOT_FOUND  the message answers one that is not there

local messages  = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread    = KEYS[2] -- hash    user -> messages not yet read
local meta      = KEYS[3] -- hash    seq: that of the newest message
local recipient = ARGV[1] -- string  user id
local json      = ARGV[2] -- string  the message from its second member on: '"id":...}'
local reply_to  = ARGV[3] -- integer seq of the message it answers; empty if none

if reply_to ~= '' then
  local answered = tonumber(reply_to)
  local newest = tonumber(redis.call('HGET', meta, 'seq') or 0)
  local oldest = newest - redis.call('LLEN', messages) + 1
  if answered < oldest or answered > newest then
    return redis.error_reply('REPLY_TO_NOT_FOUND there is no such message')
  end
end

local seq = redis.call('HINCRBY', meta, 'seq', 1)
redis.call('LPUSH', messages, '{"seq":' .. string.format('%.0f', seq) .. ',' .. json)
redis.call('HINCRBY', unread, recipient, 1)
return seq
