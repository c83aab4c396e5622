#!lua flags=allow-oom
--- @include "lib/charged"
--- @include "lib/rate"
--- @include "lib/row"
-- Finds conversations with unread messages: one step of a scan over all conversations of a user.
--
-- Returns  [cursor, peers, seqs]  the next cursor (0 at the end), the peers (one may be returned twice),
--          and the seq of the newest message of each conversation
-- Errors   RATE_LIMITED  the bucket is empty

local conversations = KEYS[1] -- hash    rows and totals of the user, see lib/row
local bucket        = KEYS[2] -- string  rate limit bucket; none if nobody is charged
local cursor        = ARGV[1] -- integer position of the scan; 0 to begin
local count         = ARGV[2] -- integer approximate number of conversations to look at
local interval_us   = ARGV[3] -- integer microseconds in which the bucket gets a token back
local burst         = ARGV[4] -- integer tokens of a full bucket

local charge, refusal = charge_rate(bucket, interval_us, burst)
if refusal then return refusal end
local step = redis.call('HSCAN', conversations, cursor, 'COUNT', count)
local peers, seqs = {}, {}
for i = 1, #step[2], 2 do
  local peer, row = step[2][i], step[2][i + 1]
  if is_row(peer) then
    local _, _, _, unread, _, entry_at = parse_row(row)
    if unread ~= '0' then
      peers[#peers + 1], seqs[#seqs + 1] = peer, tonumber(string.match(row, '^%d+|%d+|(%d+)', entry_at))
    end
  end
end
return with_charge(charge, {step[1], peers, seqs})
