//! The scripts, compiled in.

use std::sync::LazyLock;

use redis::Cmd;

/// A Lua script of the folder `lua`, alone and composed with `charge_rate`.
pub struct Script {
    /// Its file name without `.lua`, which is also the name of the store's method that runs it.
    pub name: &'static str,
    /// The file as it is.
    pub free: Text,
    /// The same work, in the same round trip as the charge for it.
    pub charged: Text,
}

/// The text of a script and the digest that Redis knows it by.
pub struct Text {
    /// The text.
    pub source: LazyLock<String>,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($constant:ident $name:literal;)*) => {
        $(pub(super) static $constant: Script = Script {
            name: $name,
            free: Text {
                source: LazyLock::new(|| include_str!(concat!("../../lua/", $name, ".lua")).into()),
                sha: LazyLock::new(|| sha1(&$constant.free.source)),
            },
            charged: Text {
                source: LazyLock::new(|| charged(&$constant.free.source)),
                sha: LazyLock::new(|| sha1(&$constant.charged.source)),
            },
        };)*

        /// Every script.
        pub static SCRIPTS: &[&Script] = &[$(&$constant,)*];
    };
}

scripts! {
    CHARGE_RATE       "charge_rate";
    CHECK_READY       "check_ready";
    OPEN_STORE        "open_store";
    READ_CONVERSATION "read_conversation";
    SEND_MESSAGE      "send_message";
}

fn sha1(source: &str) -> String {
    redis::Script::new(source).get_hash().to_owned()
}

/// Keys that `charge_rate` takes in front of those of the work.
pub(super) const CHARGE_KEYS: usize = 1;
/// Arguments that `charge_rate` takes in front of those of the work.
pub(super) const CHARGE_ARGS: usize = 2;

/// Composes a script with `charge_rate`: each file becomes a function of its own KEYS and ARGV.
/// The shebang is that of the work. Work that only reads loses it, since charging writes; without
/// one, and with `PEXPIRE` first, a full Redis takes it all the same.
fn charged(work: &str) -> String {
    let shebang = if work.starts_with("#!lua\n") {
        "#!lua"
    } else {
        ""
    };
    let body = |source: &str| match source.split_once('\n') {
        Some((first, rest)) if first.starts_with("#!") => rest.to_owned(),
        _ => source.to_owned(),
    };
    format!(
        "{shebang}
local charge_rate = function(KEYS, ARGV) {charge} end
local work = function(KEYS, ARGV) {work} end
local charged = charge_rate(KEYS, ARGV)
if charged.err then return charged end
local reply = work({{unpack(KEYS, {keys})}}, {{unpack(ARGV, {args})}})
if type(reply) == 'table' and reply.err then return reply end
return {{charged, reply}}
",
        charge = body(CHARGE_RATE.free.source.as_str()),
        work = body(work),
        keys = CHARGE_KEYS + 1,
        args = CHARGE_ARGS + 1,
    )
}

impl Text {
    /// Whether Redis lets it write nothing. Then its outcome is never unknown.
    pub(super) fn only_reads(&self) -> bool {
        self.source.starts_with("#!lua flags=no-writes\n")
    }

    /// The call by digest: what is sent as long as Redis knows the script.
    pub(super) fn evalsha(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.sha, keys, args)
    }

    /// The call by text: what is sent when Redis has forgotten it. One round trip, and unlike
    /// `SCRIPT LOAD` it works when memory is full.
    pub(super) fn eval(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVAL", &self.source, keys, args)
    }
}

fn call(command: &str, script: &str, keys: &[String], args: &[&[u8]]) -> Cmd {
    let lengths = keys
        .iter()
        .map(String::len)
        .chain(args.iter().map(|arg| arg.len()));
    // Room for everything at once; 32 bytes are for the name and the number of keys.
    let bytes = 32 + script.len() + lengths.sum::<usize>();
    let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes);
    cmd.arg(command).arg(script);
    cmd.arg(keys.len()).arg(keys).arg(args);
    cmd
}
