-- The schedule of a partition: entries, each with the time at which it is due as the score, in milliseconds
-- since 1970.
--   message,<from>,<to>,<seq>,<id>  a message that expires; its id, because a seq can be used again after
--                                   an erasure
--   mute,<user>,<peer>              a mute of a user that ends

-- Returns the entry of a message.
local function message_entry(from, to, seq, id)
  return 'message,' .. from .. ',' .. to .. ',' .. seq .. ',' .. id
end

-- Returns the entry of a mute.
local function mute_entry(user, peer)
  return 'mute,' .. user .. ',' .. peer
end

-- Schedules the end of a mute in place of that of an earlier one. Both are in milliseconds since 1970; 0 for a mute that
-- does not end, and for none.
local function schedule_mute_end(schedule, user, peer, old_muted_until, muted_until)
  if muted_until ~= '0' then
    redis.call('ZADD', schedule, muted_until, mute_entry(user, peer))
  elseif old_muted_until ~= '0' then
    redis.call('ZREM', schedule, mute_entry(user, peer))
  end
end
