//! Scripts made of several files: each file becomes a local function with KEYS and ARGV of its own,
//! so every function is written once, runs alone on a cluster, and all of them in one round trip on
//! one Redis.

/// What the parts of a composed script take in front of what the work itself takes.
pub(super) mod shape {
    /// Keys of `charge_rate`.
    pub const CHARGE_KEYS: usize = 1;
    /// Arguments of `charge_rate`.
    pub const CHARGE_ARGS: usize = 2;
    /// Keys of a conversation: messages, unread, meta, retry.
    pub const CONVERSATION_KEYS: usize = 4;
    /// Keys of a user: inbox, conversations, journal, live.
    pub const USER_KEYS: usize = 4;
    /// Arguments of a change: pair, first, second, journal limit, keep, since.
    pub const CHANGE_ARGS: usize = 6;
}
use shape::{CHANGE_ARGS, CHARGE_ARGS, CHARGE_KEYS, CONVERSATION_KEYS, USER_KEYS};

/// A file as a local function.
fn function(name: &str, source: &str) -> String {
    let body = match source.strip_prefix("#!lua") {
        Some(rest) => rest.split_once('\n').map_or("", |(_, body)| body),
        None => source,
    };
    format!("local {name} = function(KEYS, ARGV)\n{body}end\n")
}

/// The first line of a composed script. Work that only reads is charged for with a write, so its
/// flags do not hold; without a shebang Redis lets it write even when memory is full.
fn shebang(work: &str) -> &'static str {
    if work.starts_with("#!lua\n") {
        "#!lua"
    } else {
        ""
    }
}

/// Work that is charged for. It is done only if the charge went through, and the reply of both is
/// `[charge, reply]`.
pub(super) fn charged(charge: &str, work: &str) -> String {
    format!(
        "{}\n{}{}
local charged = charge_rate(KEYS, ARGV)
if charged.err then return charged end
local reply = work({{unpack(KEYS, {})}}, {{unpack(ARGV, {})}})
if type(reply) == 'table' and reply.err then return reply end
return {{charged, reply}}
",
        shebang(work),
        function("charge_rate", charge),
        function("work", work),
        CHARGE_KEYS + 1,
        CHARGE_ARGS + 1,
    )
}

/// What a change is composed of, beside the work itself.
pub(super) struct Parts {
    pub count_messages: &'static str,
    pub trim_conversation: &'static str,
    pub stamp_conversation: &'static str,
    pub file_conversation: &'static str,
}

/// Work that changes a conversation: the change gets its version, and is filed with and told to
/// the users it concerns. Work whose reply is nil is answered with the state of the conversation.
pub(super) fn change(parts: &Parts, work: &str) -> String {
    let users = CONVERSATION_KEYS..CONVERSATION_KEYS + 2 * USER_KEYS;
    let names: Vec<_> = users.map(|key| format!("KEYS[{}]", key + 1)).collect();
    let (first, second) = names.split_at(USER_KEYS);
    format!(
        "{}
local _, first, second, _, keep, since = unpack(ARGV)
local own = {{unpack(ARGV, {})}}
local state, reply, change = {{}}, nil, nil
local meta = redis.call('HGETALL', KEYS[3])
for i = 1, #meta, 2 do state[meta[i]] = meta[i + 1] end
{}{}{}{}{}
reply, change = work(KEYS, own)
if type(reply) == 'table' and reply.err then return reply end
if change and (keep ~= '0' or since ~= '') then
  local _, counted = trim_conversation(KEYS, {{keep, since, 16}})
  if counted then change.only = nil end
end
if not change and reply ~= nil then return reply end
local views = stamp_conversation(KEYS, ARGV)
if change and change.only ~= second then file_conversation({{{}}}, views[1]) end
if change and change.only ~= first then file_conversation({{{}}}, views[2]) end
if reply ~= nil then return reply end
local view = views[own[1] == first and 1 or 2]
return {{view, view[4] ~= '0' and redis.call('LINDEX', KEYS[1], '0') or ''}}
",
        shebang(work),
        CHANGE_ARGS + 1,
        function("count_messages", parts.count_messages),
        function("trim_conversation", parts.trim_conversation),
        function("stamp_conversation", parts.stamp_conversation),
        function("file_conversation", parts.file_conversation),
        function("work", work),
        first.join(", "),
        second.join(", "),
    )
}
