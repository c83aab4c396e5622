-- The newest message of a conversation, as an inbox shows it.
--- @include "lib/message"

-- Returns the message of a seq, which usually is the newest, as JSON; empty if there is none.
local function last_message(messages, seq)
  local message = redis.call('LINDEX', messages, 0)
  -- Messages that were sent since are before it in the list.
  local newer = message and string.match(message, MESSAGE_SEQ) - seq
  if newer and newer ~= 0 then message = newer > 0 and redis.call('LINDEX', messages, newer) end
  return message or ''
end
