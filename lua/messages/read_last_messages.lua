#!lua flags=no-writes
--- @include "lib/last_message"
-- Reads one message of each of several conversations, usually the newest, until they have 448 KiB together.
--
-- Returns  messages  JSON, in the order of the conversations; empty where there is none. At least one

local conversations = KEYS -- lists     messages of a pair as JSON, newest first
local seqs          = ARGV -- integers  seq of the message of each

local found, bytes = {}, 0
for i, messages in ipairs(conversations) do
  local message = last_message(messages, seqs[i])
  bytes = bytes + #message
  if bytes > 458752 and i > 1 then break end
  found[i] = message
end
return found
