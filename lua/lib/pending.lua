-- What the group of a subscription was given and has not acknowledged, see lib/reader.
--- @include "lib/stream_id"

-- Returns the ids of up to `limit` entries that a group was given and has not acknowledged, oldest first, and
-- how often each was given. `first` and `last` are bounds as XPENDING has them.
local function pending_ids(feed, group, first, last, limit)
  local ids, counts = {}, {}
  for i, entry in ipairs(redis.call('XPENDING', feed, group, first, last, limit)) do
    ids[i], counts[entry[1]] = entry[1], entry[4]
  end
  return ids, counts
end

-- Acknowledges what a group was given up to `last`, a bound as XPENDING has it. Returns the number of events.
local function drop_pending(feed, group, last)
  local dropped = 0
  repeat
    local ids = pending_ids(feed, group, '-', last, 1000)
    if #ids > 0 then dropped = dropped + redis.call('XACK', feed, group, unpack(ids)) end
  until #ids == 0
  return dropped
end

-- Moves a group to the oldest event that is left, if it was before. `group` as groups_of returns it; `cut` is the id of
-- that event; `added` and `kept` as describe_stream has them.
--
-- Returns  how many events were not given yet, how many were given and not acknowledged, and how many the group lost
local function move_group(feed, group, cut, added, kept)
  local name, lag = group.name, group.lag or tonumber(kept)
  local lost = drop_pending(feed, name, '(' .. cut)
  local pending = group.pending - lost
  if is_before(id_after(group['last-delivered-id']), cut) then
    lost, lag = lost + lag - kept, tonumber(kept)
    redis.call('XGROUP', 'SETID', feed, name, id_before(cut), 'ENTRIESREAD', string.format('%d', added - kept))
  end
  return lag, pending, lost
end
