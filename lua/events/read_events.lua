#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/stream"
-- Reads the stream of a user after a cursor, oldest event first: every event as far back as events are
-- kept; before that, a `conversation.changed` for each conversation that changed; a `reset` if the
-- cursor is not of this stream.
--
-- The conversations that changed are found by a scan of all rows, a part in each call. Within it cursors
-- are coarse: `epoch-offset~position-told-newest-server`. The scan looks for changes after `offset`. It
-- continues at `position`, where rows up to the offset `told` were returned. It began when the stream ended
-- at `newest`; behind it, the cursor is `epoch-newest`. A scan of another server begins anew, because
-- positions depend on the server. A row may be returned twice.
--
-- Returns  [events, next, more]  as JSON; the cursor after them; 1 if more follow, also if there are no events
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local events        = KEYS[2] -- list    the last events, newest first; the oldest can be only a cursor
local bucket        = KEYS[3] -- string  rate limit bucket; none if nobody is charged
local epoch         = ARGV[1] -- integer epoch of the cursor
local offset        = ARGV[2] -- integer offset of the cursor
local scan          = ARGV[3] -- string  what follows the `~` of a coarse cursor; empty if it is exact
local limit         = ARGV[4] -- integer maximum number of events
local bytes         = ARGV[5] -- integer bytes of events after which the page ends
local interval_us   = ARGV[6] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[7] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local stored = redis.call('HMGET', conversations, TOTALS_FIELD, EPOCH_FIELD)
local newest, total, unread_conversations, muted_unread = string.match(stored[1] or NO_TOTALS, TOTALS)
local current = stored[2] or '0'
local after = tonumber(offset)

local function cursor_at(place)
  return epoch .. '-' .. place
end

local function reset()
  local cursor = current .. '-' .. newest
  local event = '{"type":"reset","cursor":"' .. cursor .. '","total_unread_count":' .. total
    .. ',"unread_conversations":' .. unread_conversations .. ',"muted_unread_count":' .. muted_unread .. '}'
  return with_charge(charge, {{event}, cursor, 0})
end

if epoch ~= current or after > tonumber(newest) then return reset() end
if scan == '' then
  if after == tonumber(newest) then return with_charge(charge, {{}, cursor_at(newest), 0}) end
  local kept, more = kept_events(events, after, tonumber(newest), tonumber(limit), tonumber(bytes))
  if kept and #kept == 0 then return reset() end
  if kept then return with_charge(charge, {kept, cursor_at(string.format('%d', offset_of(kept[#kept]))), more and 1 or 0}) end
end

local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x%x%x%x%x%x%x%x)')
local position, told, scan_newest, scan_server = string.match(scan, '^(%d+)%-(%d+)%-(%d+)%-(%x+)$')
if scan_server ~= server then position, told, scan_newest = '0', '0', newest end
local changed, next_position = scan_changed_rows(conversations, position, math.max(after, tonumber(told)))
-- Only while the user is being erased, or if the store lost changes.
if #changed == 0 and position == '0' and told == '0' and next_position == '0' then return reset() end

local function coarse_place(at, up_to)
  return offset .. '~' .. at .. '-' .. up_to .. '-' .. scan_newest .. '-' .. server
end

local answer, more = {}, #changed > tonumber(limit)
local prev = scan == '' and offset or offset .. '~' .. scan
local behind = next_position == '0' and scan_newest or coarse_place(next_position, '0')
for i = 1, math.min(#changed, limit) do
  local row = changed[i]
  local place = i == #changed and behind or coarse_place(position, row.offset)
  answer[i] = format_event('conversation.changed', cursor_at(place), cursor_at(prev), row.peer, row.entry,
    total, unread_conversations, muted_unread, '')
  prev = place
end
if not more then prev = behind end
return with_charge(charge, {answer, cursor_at(prev), (more or prev ~= newest) and 1 or 0})
