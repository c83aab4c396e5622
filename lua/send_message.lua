#!lua
-- Appends a message to its conversation and counts it as unread for the recipient.
--
-- Returns  [seq, replayed, message]  its place; 1 and the message as it now is if it was sent before
-- Changes  message.created
-- Given    state  seq, blocked:<user>, floor:<user> of the conversation
-- Errors   REPLY_TO_NOT_FOUND      the message answers one that is not there
--          BLOCKED                 the recipient has blocked the sender
--          IDEMPOTENCY_KEY_REUSED  the key came with another message before
--          MESSAGE_NOT_FOUND       it was sent before, and has been dropped since

local messages    = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread      = KEYS[2] -- hash    user -> messages not yet read
local retry       = KEYS[4] -- string  what the idempotency key produced: fingerprint|seq
local sender      = ARGV[1] -- string  user id
local recipient   = ARGV[2] -- string  user id
local json        = ARGV[3] -- string  the message from its second member on: '"id":...}'
local reply_to    = ARGV[4] -- integer seq of the message it answers; empty if none
local fingerprint = ARGV[5] -- string  digest of what was sent; empty without an idempotency key
local retry_s     = ARGV[6] -- integer seconds to remember the key

local newest = tonumber(state.seq or 0)

if fingerprint ~= '' then
  local kept, seq = string.match(redis.call('GET', retry) or '', '^(.*)|(%d+)$')
  if kept == fingerprint then
    local message = redis.call('LINDEX', messages, newest - seq)
    if message then return {tonumber(seq), 1, message} end
    return redis.error_reply('MESSAGE_NOT_FOUND the message was stored, and has been dropped since')
  elseif kept then
    return redis.error_reply('IDEMPOTENCY_KEY_REUSED this key came with another message before')
  end
end
if state['blocked:' .. recipient] then
  return redis.error_reply('BLOCKED the recipient does not take messages from the sender')
end
if reply_to ~= '' then
  local answered = tonumber(reply_to)
  local oldest = math.max(newest - redis.call('LLEN', messages), tonumber(state['floor:' .. sender] or 0)) + 1
  if answered < oldest or answered > newest then
    return redis.error_reply('REPLY_TO_NOT_FOUND there is no such message')
  end
end

local seq = newest + 1
local number = string.format('%d', seq)
local message = '{"seq":' .. number .. ',' .. json
redis.call('LPUSH', messages, message)
redis.call('HINCRBY', unread, recipient, '1')
if fingerprint ~= '' then
  redis.call('SET', retry, fingerprint .. '|' .. number, 'EX', retry_s)
end
return {seq, 0, ''}, {kind = 'message.created', active = 'now', meta = {'seq', number}, message = message}
