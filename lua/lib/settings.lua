-- Updates of a user's settings in a conversation of two users or in a room.
--- @include "lib/flags"
--- @include "lib/metadata"
--- @include "lib/row"

-- Updates the `flags` of a user, and the metadata.
--
-- conversation        the conversation or room, of which `meta` is the key
-- owner               the user: `id` and `flags`
-- archived, pinned    flags: 1 or 0; empty to leave them as they are
-- metadata            JSON object; null to remove it, empty to leave it as it is
-- old_metadata        JSON that the new metadata was made from; empty for none, * for any
-- user_conversations  hash that counts the pinned rows of the user; nil on a cluster, see lua/inbox/reserve_pin.lua
-- pin_limit           maximum number of pinned conversations
--
-- Returns  whether something changed; if the update is to be refused, the error, and nothing is changed
local function update_settings(conversation, owner, archived, pinned, metadata, old_metadata, user_conversations,
  pin_limit)
  local stored = metadata_of(conversation, owner)
  if old_metadata ~= '*' and old_metadata ~= stored then
    return false, redis.error_reply('CONVERSATION_CHANGED The metadata has changed since it was read.')
  end
  local flags = owner.flags
  if archived ~= '' then flags = with_flag(flags, ARCHIVED, archived) end
  if pinned ~= '' then flags = with_flag(flags, PINNED, pinned) end
  if metadata ~= '' then flags = with_flag(flags, HAS_METADATA, metadata == 'null' and '0' or '1') end
  local pins = has_flag(flags, PINNED) and not has_flag(owner.flags, PINNED)
  if pins and user_conversations
    and tonumber(redis.call('HGET', user_conversations, PINNED_FIELD) or 0) >= tonumber(pin_limit) then
    return false, redis.error_reply('TOO_MANY_PINNED The user has the maximum number of pinned conversations.')
  end
  local sets = metadata ~= '' and metadata ~= 'null' and metadata ~= stored
  if flags == owner.flags and not sets then return false end

  owner.flags = flags
  if sets then
    redis.call('HSET', conversation.meta, METADATA_FIELD .. owner.id, metadata)
  elseif metadata == 'null' then
    redis.call('HDEL', conversation.meta, METADATA_FIELD .. owner.id)
  end
  return true
end
