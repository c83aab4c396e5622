-- The order of a user's inbox. The score of a peer is the version of the newest message; that of a pinned
-- conversation is higher by 4 * 10^15, so these come first. It exceeds every version until the year 2096,
-- and the sums are exact, because they are less than 2^53.
--- @include "lib/row"

-- How much higher the score of a pinned conversation is.
local PINNED_FIRST = 4000000000000000

-- Places a conversation that does not simply move to the top, because it was cleared, imported, pinned or
-- unpinned, or updated late. New messages of the top conversation do not update its score, so the score of
-- the next lower one can be outdated. Its row has the right one.
local function place_by_age(inbox, conversations, peer, active)
  if active == '0' then return redis.call('ZREM', inbox, peer) end
  local below = redis.call('ZREVRANGEBYSCORE', inbox, '(' .. active, '-inf', 'LIMIT', '0', '1')[1]
  if below then
    local _, _, below_active = parse_row(redis.call('HGET', conversations, below))
    redis.call('ZADD', inbox, below_active, below)
  end
  redis.call('ZADD', inbox, active, peer)
end
