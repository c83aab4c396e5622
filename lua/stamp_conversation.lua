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
local journal_limit = ARGV[4] -- integer events to keep of each user, at least

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

local views = {}
for place = 1, 2 do
  local user, peer = first, second
  if place == 2 then user, peer = second, first end
  -- What the peer has read was told once and stays so, and was delivered.
  local read, seen, delivered = state['read:' .. peer] or '0', state['seen:' .. peer], state['delivered:' .. peer]
  if seen and tonumber(seen) > tonumber(read) then read = seen end
  if not delivered or tonumber(delivered) < tonumber(read) then delivered = read end
  local floor = state['floor:' .. user]
  local cleared = floor and tonumber(floor) >= tonumber(seq)
  views[place] = {
    pair, peer, ver, cleared and '0' or active, counts[place] or '0', seq,
    state['read:' .. user] or '0', read, delivered,
    state['muted:' .. user] or '0', state['blocked:' .. user] or '0',
    kind, message, journal_limit,
  }
end
return views
