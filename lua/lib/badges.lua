-- The badges of a partition: a stream of what the totals of its users become, from which a backend makes push
-- notifications. A subscription that names the type `badge.changed` reads it like a feed, see lib/reader. The stream
-- exists only while there is such a subscription: without one nothing is appended. An entry is like that of a feed, with
-- the peer as its first value, and has a third field, `message`.
--- @include "lib/message"
--- @include "lib/presence"
--- @include "lib/row"

-- Names the keys of a user's partition, if they are not given: `badges`, and `leases`, which says who is online and is
-- named when it is looked at.
local function name_badges(owner, badges, leases)
  if not badges then
    local partition = string.match(owner.events, '^dm:{%d+}:')
    badges = partition and partition .. 'badges'
  end
  owner.badges, owner.leases = badges, leases
end

-- The same, if the stream exists.
local function find_badges(owner, badges, leases)
  name_badges(owner, badges, leases)
  -- While the slot of a key moves, Redis may refuse to look for it if it is not a key of the call.
  if owner.badges and redis.pcall('EXISTS', owner.badges) ~= 1 then owner.badges = nil end
end

-- Whether a user has a live connection, which a user without journal has not. The offset of the user's last change is
-- the time, in microseconds.
local function is_online(owner, offset)
  if owner.listening ~= '1' then return false end
  local leases = owner.leases or string.sub(owner.badges, 1, -7) .. 'leases'
  local renewed = redis.pcall('ZSCORE', leases, owner.id)
  return type(renewed) == 'string' and tonumber(renewed) > offset / 1000 - PRESENCE_MS
end

-- Appends the badge of a user after a change. The message is a field of its own, so that it need not be copied into the
-- data of each user.
--
-- owner   whose badge it is: `id`, the keys `badges` and `leases`, and `listening`, see lib/row
-- offset  with the totals after it, see lib/row; peer, unread and flags are those of the row that changed
-- event   what happened: `kind`, its type; `message`, JSON of the message that changed, or empty; `mentioned`, the users
--         whom it mentions as JSON, or nil
local function append_badge(owner, offset, total, unread_conversations, muted, peer, unread, flags, event)
  local user, mentioned = owner.id, event.mentioned
  local is_mentioned = mentioned and string.find(mentioned, '"' .. user .. '"', 1, true)
  local is_muted = flags ~= NO_FLAGS and has_flag(flags, MUTED)
  local data = '{"user":"' .. user .. '","total_unread_count":' .. total .. ',"unread_conversations":'
    .. unread_conversations .. ',"muted_unread_count":' .. muted .. ',"peer":"' .. peer .. '","unread_count":' .. unread
    .. (is_muted and ',"muted":true' or ',"muted":false')
    .. (is_online(owner, offset) and ',"online":true' or ',"online":false')
    .. (is_mentioned and ',"mentioned":true' or ',"mentioned":false') .. ',"cause":"' .. event.kind .. '"}'
  redis.call('XADD', owner.badges, 'NOMKSTREAM', '*', 'badge.changed', peer, 'data', data, 'message',
    event.message)
  owner.has_badge = true
end

-- Wakes those who wait for events of any feed, if a badge of the user was appended.
local function publish_badge(owner)
  -- Redis may refuse to publish (ACL). Who waits also looks by itself.
  if owner.has_badge then redis.pcall('SPUBLISH', string.sub(owner.badges, 1, -7) .. 'feed', '') end
end
