-- Gives a conversation that changed its next version, and tells how each of its users now sees it.
-- The version is a hybrid clock: it orders the changes of a conversation, and still does after a
-- failover that lost some of them.
-- Given    state   the meta of the conversation: field -> text
--          change  what the work did, or nil: kind, meta (fields to write), message (that it is
--                  about, if any), active (when the conversation was last active; 'now')
--
-- Returns  [first, second]  for each user what file_conversation takes

local unread        = KEYS[2] -- hash    user -> messages not yet read
local meta          = KEYS[3] -- hash    everything else of the pair
local pair          = ARGV[1] -- string  the two users, sorted and joined
local first         = ARGV[2] -- string  user id
local second        = ARGV[3] -- string  user id
local journal_limit = ARGV[4] -- integer events to keep of each user

local kind, message = '', ''
if change then
  kind, message = change.kind, change.message or ''
  local clock, fields = redis.call('TIME'), change.meta
  for i = 1, #fields, 2 do state[fields[i]] = fields[i + 1] end
  state.ver = string.format('%d', math.max((state.ver or 0) + 1, clock[1] * 1000000 + clock[2]))
  if change.active then state.active = change.active == 'now' and state.ver or change.active end
  redis.call('HSET', meta, 'ver', state.ver, 'active', state.active or '0', unpack(fields))
end

local counts = redis.call('HMGET', unread, first, second)
local ver, active, seq = state.ver or '0', state.active or '0', state.seq or '0'

-- The further one of two positions; most often there is only one.
local function further(one, other)
  if not one or not other then return one or other or '0' end
  return tonumber(one) < tonumber(other) and other or one
end

local function view(user, peer, count)
  local peer_read = further(state['read:' .. peer], state['seen:' .. peer])
  local floor = state['floor:' .. user]
  local cleared = floor and tonumber(floor) >= tonumber(seq)
  return {
    pair, peer, ver, cleared and '0' or active, count or '0', seq,
    state['read:' .. user] or '0', peer_read, further(state['delivered:' .. peer], peer_read),
    state['muted:' .. user] or '0', state['blocked:' .. user] or '0', kind, message, journal_limit,
  }
end
return {view(first, second, counts[1]), view(second, first, counts[2])}
