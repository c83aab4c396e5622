//! The scripts, compiled in.

use std::sync::LazyLock;

use redis::Cmd;

/// A Lua script of the folder `lua`.
pub struct Script {
    /// Its file name without `.lua`, which is also the name of the store's method that runs it.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
    sha: LazyLock<String>,
}

macro_rules! scripts {
    ($($constant:ident $name:literal;)*) => {
        $(pub(super) static $constant: Script = Script {
            name: $name,
            source: include_str!(concat!("../../lua/", $name, ".lua")),
            sha: LazyLock::new(|| redis::Script::new($constant.source).get_hash().to_owned()),
        };)*

        /// Every script.
        pub static SCRIPTS: &[&Script] = &[$(&$constant,)*];
    };
}

scripts! {
    CHECK_READY       "check_ready";
    OPEN_STORE        "open_store";
    READ_CONVERSATION "read_conversation";
    SEND_MESSAGE      "send_message";
}

impl Script {
    /// The call by digest: what is sent as long as Redis knows the script.
    pub(super) fn evalsha(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.sha, keys, args)
    }

    /// The call by text: what is sent when Redis has forgotten it. One round trip, and unlike
    /// `SCRIPT LOAD` it works when memory is full.
    pub(super) fn eval(&self, keys: &[String], args: &[&[u8]]) -> Cmd {
        call("EVAL", self.source, keys, args)
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
