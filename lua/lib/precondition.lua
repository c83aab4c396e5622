-- Preconditions of a change (`If-Match`, RFC 9110 section 13.1.1).

-- Returns whether a message has one of the wanted versions. A version is the SHA-1 of the JSON, as
-- src/model/precondition.rs has it.
--
-- wanted  versions, with a comma before, between and after them; empty or none for any
local function has_version(message, wanted)
  if not wanted or wanted == '' then return true end
  return string.find(wanted, ',' .. redis.sha1hex(message) .. ',', 1, true) ~= nil
end
