-- What an erasure removes from the inboxes of both users.
--- @include "lib/inbox"

-- Removes the row of a conversation from the inbox of an erased user, see update_inbox. Its unread messages leave the
-- totals. With a version, a newer row stays: the id is in use again.
local function forget_row(owner, peer, version)
  local row = redis.call('HGET', owner.conversations, peer)
  if not row then return end
  local row_version, _, _, _, _, entry_at = parse_row(row)
  if version and row_version > version then return end
  owner.unread, owner.flags = '0', NO_FLAGS
  local entry = '0|' .. NO_FLAGS .. string.match(row, '^%d+|%d+(|%d+|%d+|%d+|%d+)', entry_at)
  update_inbox(owner, peer, string.format('%d', row_version + 1), '', '0', entry, 'conversation.changed', '')
  redis.call('HDEL', owner.conversations, peer)
end

-- Drops the kept events of a user. Devices that resume receive `conversation.changed` instead.
local function drop_events(events)
  local cursor = string.match(redis.call('LINDEX', events, 0) or '', '"cursor":"(%d+%-%d+)"')
  if not cursor then return end
  redis.call('LTRIM', events, 0, 0)
  redis.call('LSET', events, 0, '{"cursor":"' .. cursor .. '"}')
end
