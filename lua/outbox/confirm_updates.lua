#!lua flags=allow-oom
-- Removes pairs from an outbox whose inboxes are known to be up to date. A pair that has changed again since stays.
--
-- Returns  removed  number of pairs

local outbox    = KEYS[1] -- zset    pair -> version, see lib/outbox
-- For each pair: the pair, and the version that both inboxes have
local confirmed = ARGV    -- strings pairs and versions

local changed, versions = {}, {}
for i = 1, #confirmed, 2 do
  changed[#changed + 1], versions[#versions + 1] = confirmed[i], tonumber(confirmed[i + 1])
end
local done = {}
for i, noted in ipairs(redis.call('ZMSCORE', outbox, unpack(changed))) do
  if noted and tonumber(noted) <= versions[i] then done[#done + 1] = changed[i] end
end
return #done > 0 and redis.call('ZREM', outbox, unpack(done)) or 0
