-- The order of a user's inbox: the score of a peer is the version of the newest message. Pinned
-- conversations come first: theirs is higher by an offset.
--- @include "lib/row"

-- More than any version until the year 2096. Until then a score is less than 2^53, so it is exact.
local PINNED_OFFSET = 4000000000000000

local function score_of(active, flags)
  return has_flag(flags, PINNED) and string.format('%d', active + PINNED_OFFSET) or active
end

-- Gives a conversation its place in the order when it does not simply move to the top: it was
-- cleared, imported, pinned or unpinned, or comes late. Messages of the conversation on top leave its
-- score as it is, so the one that is to stand next below may have a score that is too low. Its row has
-- the true one.
local function place_by_age(inbox, conversations, peer, active, flags)
  if active == '0' then return redis.call('ZREM', inbox, peer) end
  local score = score_of(active, flags)
  local below = redis.call('ZREVRANGEBYSCORE', inbox, '(' .. score, '-inf', 'LIMIT', '0', '1')[1]
  if below then
    local _, _, below_active, _, below_flags = parse_row(redis.call('HGET', conversations, below))
    redis.call('ZADD', inbox, score_of(below_active, below_flags), below)
  end
  redis.call('ZADD', inbox, score, peer)
end
