-- Idempotency keys of sends: what a key produced, as fingerprint|seq|id.
--- @include "lib/archive"
--- @include "lib/message"

-- How long an idempotency key is remembered.
local REMEMBER_S = 86400

-- Returns what a key produced before: fingerprint, seq and id of the message; nil if it is new.
local function known_send(idempotency)
  return string.match(redis.call('GET', idempotency) or '', '^(.*)|(%d+)|(.*)$')
end

-- Finds the message that a key produced.
--
-- conversation  the `messages`, and the `seq` of the newest
-- known         fingerprint, with seq and id as known_send returns them
-- fingerprint   digest of what is sent now
-- erased_up_to  seq up to which messages are of an erased user of the sender's id
-- held          what the caller has of the archive, see parse_held
--
-- Returns  the message, or the error with which to refuse the request; both nil if the key no longer counts. If the
--          message is in the archive, in place of it what the script has to return, see stored_message
local function find_sent(conversation, idempotency, known, known_seq, known_id, fingerprint, erased_up_to, held)
  local newest, seq = tonumber(conversation.seq), tonumber(known_seq)
  local stored, missing = stored_message(conversation, seq, held)
  if missing then return missing end
  -- Keys of an erased user of this id, or from before the conversation was erased, no longer count.
  if seq <= tonumber(erased_up_to) or seq > newest or stored and string.match(stored, MESSAGE_ENVELOPE) ~= known_id then
    return
  end
  if known ~= fingerprint then
    return nil, redis.error_reply('IDEMPOTENCY_KEY_REUSED Another message was sent with this key.')
  elseif not stored then
    return nil, redis.error_reply('MESSAGE_NOT_FOUND The message was stored, and has been removed since.')
  end
  -- A write, so that replicas which must confirm it confirm the message too.
  redis.call('SET', idempotency, known .. '|' .. known_seq .. '|' .. known_id, 'KEEPTTL')
  return stored
end

-- Remembers what a key produced.
--
-- json  JSON of the message from its second member on
local function remember_send(idempotency, fingerprint, seq, json)
  local id = string.match(json, MESSAGE_ENVELOPE)
  redis.call('SET', idempotency, fingerprint .. '|' .. seq .. '|' .. id, 'EX', REMEMBER_S)
end
