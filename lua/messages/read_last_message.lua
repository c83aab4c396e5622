#!lua flags=no-writes
--- @include "lib/last_message"
--- @include "lib/version"
-- Reads one message of a conversation, usually the newest, and the version of the conversation.
--
-- Returns  [message, version]  JSON, empty if there is none; 0 if there is no such conversation

local messages = KEYS[1] -- list    messages of the pair as JSON, newest first
local meta     = KEYS[2] -- hash    everything else of the pair, see lib/state
local seq      = ARGV[1] -- integer seq of the message

local _, version = parse_version(redis.call('HGET', meta, 'state'))
return {last_message(messages, seq), version or '0'}
