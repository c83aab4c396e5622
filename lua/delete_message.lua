#!lua
-- Deletes a message for both users: a tombstone without content takes its place, so that no other
-- message moves. One that was not read yet no longer counts.
--
-- Returns  message  the tombstone as JSON
-- Changes  message.deleted
-- Given    state  seq, floor:<user>, read:<user> of the conversation
-- Errors   MESSAGE_NOT_FOUND  it is not there, or not for this user
--          FORBIDDEN          somebody else wrote it

local messages   = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread     = KEYS[2] -- hash    user -> messages not yet read
local author     = ARGV[1] -- string  user id
local recipient  = ARGV[2] -- string  user id of the other one
local seq        = ARGV[3] -- integer which one
local deleted_at = ARGV[4] -- string  time, RFC 3339

local index = tonumber(state.seq or 0) - seq
local shown = index >= 0 and tonumber(seq) > tonumber(state['floor:' .. author] or 0)
local message = shown and redis.call('LINDEX', messages, index)
if not message then
  return redis.error_reply('MESSAGE_NOT_FOUND there is no such message')
end
local head, from = string.match(message, '^({"seq":%d+,"id":"[^"]*","from":"([^"]*)","to":"[^"]*","sent_at":"[^"]*")')
if from ~= author then
  return redis.error_reply('FORBIDDEN only its author deletes a message')
end
if string.find(message, '^,"deleted_at":"[^"]*"}$', -41) then return message end

local tombstone = head .. ',"body":"","deleted_at":"' .. deleted_at .. '"}'
redis.call('LSET', messages, index, tombstone)
if tonumber(seq) > tonumber(state['read:' .. recipient] or 0) and redis.call('HINCRBY', unread, recipient, -1) <= 0 then
  redis.call('HDEL', unread, recipient)
end
return tombstone, {kind = 'message.deleted', meta = {}, message = tombstone}
