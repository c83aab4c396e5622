-- Searches a conversation by time. Times rise with seqs, except where lines of an import were out of order.
-- All times have one form and one zone, so they compare as texts.
--- @include "lib/message"

-- Returns the seq of the oldest message that was sent at a time or later; newest + 1 if there is none.
--
-- time            RFC 3339 in UTC with milliseconds
-- newest, oldest  seqs between which to search
local function first_sent_since(messages, time, newest, oldest)
  local low, high = oldest, newest + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local _, sent_at = string.match(redis.call('LINDEX', messages, newest - middle), MESSAGE_ENVELOPE)
    if sent_at < time then low = middle + 1 else high = middle end
  end
  return low
end
