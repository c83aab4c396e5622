-- The beginning of a message as it is stored, for string.match: JSON of which the first members are
-- "seq" and "from", then, in a tombstone, "deleted_at", then, if it expires, "expires_at", then "to", "id"
-- and "sent_at". What follows is opaque.

-- Captures seq, sender and the name of the next member, which shows whether the message is a tombstone, or
-- expires.
local MESSAGE_HEAD = '^{"seq":(%d+),"from":"([^"]*)","([%a_]+)"'
local TOMBSTONE, EXPIRING = 'deleted_at', 'expires_at'

-- Captures seq alone.
local MESSAGE_SEQ = '^{"seq":(%d+)'

-- The same as the head without seq, for scripts that look at many messages: each seq would be another string to create.
local MESSAGE_AUTHOR = '^{"seq":%d+,"from":"([^"]*)","([%a_]+)"'

-- Captures the id and the time.
local MESSAGE_ENVELOPE = '"to":"[^"]*","id":"([^"]*)","sent_at":"([^"]*)"'

-- Captures the user or the room that a message was sent to.
local MESSAGE_TO = '"to":"([^"]*)"'

-- Captures when a message expires; nothing if it does not, or is a tombstone.
local MESSAGE_EXPIRY = '^{"seq":%d+,"from":"[^"]*","expires_at":"([^"]*)"'

-- Returns the users whom a message mentions, as JSON; nil if there are none. They stand before what the application keeps
-- with a message.
local function mentioned_users(message)
  local from, to = string.find(message, ',"mentions":[', 1, true)
  if not from then return end
  local before = string.sub(message, 1, from)
  if string.find(before, ',"attachments":[', 1, true) or string.find(before, ',"metadata":{', 1, true) then return end
  return string.match(message, '[^%]]*', to + 1)
end
