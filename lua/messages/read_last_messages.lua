#!lua flags=no-writes
--- @include "lib/message"
-- Reads one message of each of several conversations, which most often is the newest of it.
--
-- Returns  messages  JSON, in their order; empty where there is none

local conversations = KEYS -- lists     messages of a pair as JSON, newest first
local seqs          = ARGV -- integers  which one of each

local found = {}
for i, messages in ipairs(conversations) do
  local message = redis.call('LINDEX', messages, 0)
  -- Messages that came since stand in front of it.
  local newer = message and string.match(message, MESSAGE_HEAD) - seqs[i]
  if newer and newer ~= 0 then message = newer > 0 and redis.call('LINDEX', messages, newer) end
  found[i] = message or ''
end
return found
