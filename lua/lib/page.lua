-- Pages of a conversation. The message of seq s stands at index newest - s of the list.

-- Returns the seqs of the newest and the oldest message of a page, and what to pass as `before` for
-- the next one, 0 at the end.
--
-- before          only older messages than this seq; empty for any
-- limit           messages of a page, at most
-- newest, oldest  seqs of what there is
local function older_than(before, limit, newest, oldest)
  local high = math.min((tonumber(before) or newest + 1) - 1, newest)
  local low = math.max(high - limit + 1, oldest)
  return high, low, high >= low and low > oldest and low or 0
end

-- Returns the seqs of the newest and the oldest message of a page that is cut by one of `before`,
-- `after` and `around`, the others empty.
local function page_bounds(limit, before, after, around, newest, oldest)
  if after ~= '' then
    local low = math.max(tonumber(after) + 1, oldest)
    return math.min(low + limit - 1, newest), low
  elseif around ~= '' then
    local low = around - math.floor(limit / 2)
    return math.min(low + limit - 1, newest), math.max(low, oldest)
  end
  return older_than(before, limit, newest, oldest)
end
