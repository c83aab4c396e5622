-- A subscription as it is stored: generation|revision|state|settings.
--
-- generation  when it was created, see lib/reader
-- revision    1, and one more with each change of the settings
-- state       opening or closing while the groups of its feeds are created or removed; stopped if the endpoint of its
--             webhook answered 410; otherwise open
-- settings    JSON object, opaque to scripts
--
-- A hash of its own names the subscriptions that read badges, with empty values.
--
-- If it has a webhook, another hash has these fields:
--
-- secret, old_secret, old_until_us  the secret that signs, and the one before with when it ends to
-- holder, held_until_us             which process sends the events, and until when at least
-- circuit                           state of the endpoint as that process knows it, opaque to scripts

-- Returns the parts of a subscription; nil if there is none.
local function parse_subscription(stored)
  return string.match(stored or '', '^(%d+)|(%d+)|(%l+)|(.*)$')
end

-- Returns a subscription as it is stored.
local function format_subscription(generation, revision, state, settings)
  return generation .. '|' .. revision .. '|' .. state .. '|' .. settings
end
