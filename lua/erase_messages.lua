#!lua
-- Turns what a user wrote in a part of a conversation into tombstones. Those the peer had not read
-- yet no longer count.
--
-- Returns  [erased, next_before]  how many, and what to pass as before to go on; 0 at the end
-- Changes  conversation.changed
-- Given    state  seq, read:<user> of the conversation

local messages   = KEYS[1] -- list    messages of the pair as JSON, newest first
local unread     = KEYS[2] -- hash    user -> messages not yet read
local author     = ARGV[1] -- string  user id
local peer       = ARGV[2] -- string  user id of the other one
local before     = ARGV[3] -- integer only older ones than this seq; empty for any
local limit      = ARGV[4] -- integer messages to look at, at most
local deleted_at = ARGV[5] -- string  time, RFC 3339

local newest = tonumber(state.seq or 0)
local oldest = newest - redis.call('LLEN', messages) + 1
local high = math.min((tonumber(before) or newest + 1) - 1, newest)
local low = math.max(high - limit + 1, oldest)
if high < low then return {0, 0} end

local read, erased, unseen = tonumber(state['read:' .. peer] or 0), 0, 0
for i, message in ipairs(redis.call('LRANGE', messages, newest - high, newest - low)) do
  local head, from = string.match(message, '^({"seq":%d+,"id":"[^"]*","from":"([^"]*)","to":"[^"]*","sent_at":"[^"]*")')
  if from == author and not string.find(message, '^,"deleted_at":"[^"]*"}$', -41) then
    redis.call('LSET', messages, newest - high + i - 1, head .. ',"body":"","deleted_at":"' .. deleted_at .. '"}')
    erased = erased + 1
    if high - i + 1 > read then unseen = unseen + 1 end
  end
end
if unseen > 0 and redis.call('HINCRBY', unread, peer, -unseen) <= 0 then redis.call('HDEL', unread, peer) end
local change = erased > 0 and {kind = 'conversation.changed', meta = {}} or nil
return {erased, low > oldest and low or 0}, change
