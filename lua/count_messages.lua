#!lua flags=no-writes
-- Counts the messages of one user in a part of a conversation; deleted ones do not count.
-- Costs some 0.1 ms of Redis for each thousand messages.
--
-- Returns  count  integer

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local sender   = ARGV[1] -- string  user id
local newest   = ARGV[2] -- integer seq of the newest message of the conversation
local low      = ARGV[3] -- integer oldest seq to look at
local high     = ARGV[4] -- integer newest seq to look at

local count = 0
local from = tonumber(high)
while from >= tonumber(low) do
  local to = math.max(from - 999, tonumber(low))
  for _, message in ipairs(redis.call('LRANGE', messages, newest - from, newest - to)) do
    local deleted = string.find(message, '^,"deleted_at":"[^"]*"}$', -41)
    if string.match(message, '^{"seq":%d+,"id":"[^"]*","from":"([^"]*)"') == sender and not deleted then
      count = count + 1
    end
  end
  from = to - 1
end
return count
