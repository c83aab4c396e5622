#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/row"
-- Lists the peers that a user has blocked, in no order: one step of a scan over all rows.
--
-- Returns  [cursor, peers]  position of the next step (0 at the end), and the peers; one can be returned
--          twice if rows are added during the scan
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[2] -- string  rate limit bucket; none if nobody is charged
local cursor        = ARGV[1] -- integer position of the scan; 0 to begin
local count         = ARGV[2] -- integer approximate number of rows to look at
local interval_us   = ARGV[3] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[4] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local peers = {}
for i = 1, #step[2], 2 do
  local peer = step[2][i]
  if is_row(peer) then
    local _, _, _, _, flags = parse_row(step[2][i + 1])
    if has_flag(flags, BLOCKED) then peers[#peers + 1] = peer end
  end
end
return with_charge(charge, {step[1], peers})
