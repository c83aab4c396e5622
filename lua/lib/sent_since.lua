-- Searches a conversation by time. Times rise with seqs, except where lines of an import were out of order.
-- All times have one form and one zone, so they compare as texts.
--- @include "lib/archive"
--- @include "lib/message"

-- Returns the newest segment that begins with a message that was sent before a time; nil if there is none.
local function segment_before(conversation, time)
  local first, last, found = conversation.archive.first, conversation.archive.last, nil
  while first <= last do
    local segment = load_segment(conversation, math.floor((first + last) / 2))
    if segment.sent_at < time then
      found, first = segment, segment.number + 1
    else
      last = segment.number - 1
    end
  end
  return found
end

-- Returns the seq of the oldest message that was sent at a time or later; newest + 1 if there is none. If only the
-- archive can tell, returns nil and the segment in which to search: the message is in it, or the one after it.
--
-- time            RFC 3339 in UTC with milliseconds
-- newest, oldest  seqs between which to search
local function first_sent_since(conversation, time, newest, oldest)
  local archive = archive_of(conversation)
  local border = math.max(oldest, conversation.hot_from)
  local low, high = border, newest + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local message = redis.call('LINDEX', conversation.messages, newest - middle)
    local _, sent_at = string.match(message, MESSAGE_ENVELOPE)
    if sent_at < time then low = middle + 1 else high = middle end
  end
  if low > border or not archive or oldest >= conversation.hot_from then return low end
  local segment = segment_before(conversation, time)
  if not segment or segment.high < oldest then return oldest end
  return nil, segment
end
