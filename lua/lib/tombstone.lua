-- Tombstones: what remains of deleted messages.
--- @include "lib/archive_change"
--- @include "lib/message"
--- @include "lib/schedule"

-- Returns the tombstone of a message: everything but its content, which begins with "body". Quotes within
-- strings are escaped, so the first `"body":"` is the member. If the message expired before, its time of
-- deletion is that of the expiry. A tombstone stays as it is.
local function make_tombstone(json, deleted_at)
  local head, envelope =
    string.match(json, '^({"seq":%d+,"from":"[^"]*",)(.-)"body":"')
  if string.find(envelope, '"deleted_at":', 1, true) == 1 then return json end
  local expires_at = string.match(json, MESSAGE_EXPIRY)
  if expires_at and expires_at < deleted_at then deleted_at = expires_at end
  return head .. '"deleted_at":"' .. deleted_at .. '",' .. envelope .. '"body":""}'
end

-- Returns the message as reads show it at a time: as its tombstone if it has expired, even if it is still stored.
local function as_shown(message, now)
  local expires_at = string.match(message, MESSAGE_EXPIRY)
  return expires_at and expires_at <= now and make_tombstone(message, expires_at) or message
end

-- Whether a message still has to be deleted because it has expired. If another change wrote its segment anew since then,
-- the object has its tombstone, but only the entry of the schedule shows whether that was counted and told.
--
-- message  as it is stored; nil if there is none
-- from     its author, and id, its id: a seq can be used again
-- entry    of the message in the schedule
local function is_due(conversation, message, from, id, schedule, entry)
  local _, author, next_member = string.match(message or '', MESSAGE_HEAD)
  if author ~= from or string.match(message, MESSAGE_ENVELOPE) ~= id then return false end
  return next_member == EXPIRING
    or next_member == TOMBSTONE and conversation.segment and redis.call('ZSCORE', schedule, entry)
end

-- Puts a tombstone in the place of a message. In a room, it still counts as unread.
--
-- conversation  of two users, or a room: the `messages`, and the `seq` of the newest
-- held          what the caller has of the archive, see parse_held; nil if the message is not there
--
-- Returns  the tombstone, and the entry to take from the schedule, if any
local function put_tombstone(conversation, seq, message, deleted_at, held)
  local tombstone = make_tombstone(message, deleted_at)
  put_message(conversation, seq, tombstone, held, true)
  local _, from, next_member = string.match(message, MESSAGE_HEAD)
  if next_member ~= EXPIRING then return tombstone end
  local to, id = string.match(message, MESSAGE_TO), string.match(message, MESSAGE_ENVELOPE)
  return tombstone, message_entry(from, to, seq, id)
end

-- Puts a tombstone in the place of a message that the user wrote to the peer. If the peer had not read it yet, it no
-- longer counts. Returns the same as put_tombstone.
local function delete_stored(conversation, seq, message, deleted_at, held)
  local peer = conversation.peer
  -- Those that are dropped in this step no longer count already.
  if tonumber(seq) > math.max(tonumber(peer.read), conversation.dropped_up_to) and peer.unread ~= '0' then
    peer.unread = string.format('%d', peer.unread - 1)
  end
  return put_tombstone(conversation, seq, message, deleted_at, held)
end
