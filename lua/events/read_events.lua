#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/stream"
-- Reads the stream of a user from a cursor on, oldest first: every event as far back as events are
-- kept; before that a `conversation.changed` for each conversation that changed since; a `reset` if
-- the cursor is not of this stream.
-- Among the conversations a cursor is coarse, and ends in `~`: those are told that did not change
-- behind it, of the others nothing, not even what came before it. So whoever goes on from there goes on
-- with conversations, even if kept events reach back to there; behind the last one the cursor is exact.
--
-- Returns  [events, more]  as JSON; 1 if there are more
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[2] -- list    the last events, newest first; the oldest may be a mere cursor
local bucket        = KEYS[3] -- string  bucket to charge; none if nobody is charged
local epoch         = ARGV[1] -- integer epoch of the cursor
local offset        = ARGV[2] -- integer offset of the cursor
local coarse        = ARGV[3] -- string  `~` if the cursor is coarse; else empty
local limit         = ARGV[4] -- integer events to answer, at most
local bytes         = ARGV[5] -- integer bytes of events to answer, about
local interval_us   = ARGV[6] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[7] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local stored = redis.call('HMGET', conversations, TOTALS_FIELD, EPOCH_FIELD)
local newest, total, unread_conversations, muted_unread = string.match(stored[1] or NO_TOTALS, TOTALS)
local current = stored[2] or '0'
local after = tonumber(offset)

local function reset()
  return with_charge(charge, {{'{"type":"reset","cursor":"' .. current .. '-' .. newest .. '","total_unread_count":'
    .. total .. ',"unread_conversations":' .. unread_conversations .. ',"muted_unread_count":' .. muted_unread .. '}'}, 0})
end

if epoch ~= current or after > tonumber(newest) then return reset() end
if coarse == '' then
  if after == tonumber(newest) then return with_charge(charge, {{}, 0}) end
  local kept, more = kept_events(events, after, tonumber(newest), limit, tonumber(bytes))
  if kept and #kept == 0 then return reset() end
  if kept then return with_charge(charge, {kept, more and 1 or 0}) end
end

local changed = changed_rows(conversations, after)
-- Only while the user is being erased, or where the store lost what they did.
if #changed == 0 then return reset() end
local answer, prev = {}, offset .. coarse
for i = 1, math.min(#changed, limit) do
  local place = i == #changed and newest or changed[i].offset .. '~'
  answer[i] = format_event('conversation.changed', epoch .. '-' .. place, epoch .. '-' .. prev,
    changed[i].peer, changed[i].entry, total, unread_conversations, muted_unread, '')
  prev = place
end
return with_charge(charge, {answer, #changed > #answer and 1 or 0})
