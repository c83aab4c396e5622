//! The scripts as the service calls them, for tests that pass it by.

use duologue::model::{Pair, UserId};
use duologue::store::{Keys, SCRIPTS};
use redis::{Cmd, cmd};

/// What runs under the name of a script.
pub fn source(name: &str) -> &'static str {
    let script = SCRIPTS.iter().find(|script| script.name == name);
    let script = script.unwrap_or_else(|| panic!("there is no script {name}"));
    script.free.source.as_str()
}

/// A conversation that scripts change: the keys and arguments that stand in front of their own.
pub struct Conversation {
    keys: Vec<String>,
    common: [String; 6],
}

impl Conversation {
    /// That of two users, under the names that the service gives to keys, without retention.
    pub fn of(one: &str, other: &str) -> Self {
        let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
        let (names, pair) = (Keys::new(), Pair::of(&user(one), &user(other)));
        let mut keys = vec![names.messages(&pair), names.unread(&pair)];
        keys.extend([names.meta(&pair), names.retry(&pair, None)]);
        let (first, second) = pair.users();
        for user in [first, second] {
            keys.extend(keys_of_user(user));
        }
        let common = [pair.as_str(), first, second, "512", "0", ""].map(str::to_owned);
        Self { keys, common }
    }

    /// The same, keeping so many messages and none from before a time.
    #[must_use]
    pub fn keeping(mut self, messages: &str, since: &str) -> Self {
        messages.clone_into(&mut self.common[4]);
        since.clone_into(&mut self.common[5]);
        self
    }

    /// The call of a script by its text, with the arguments of its own.
    pub fn eval(&self, script: &str, args: &[&str]) -> Cmd {
        self.call("EVAL", source(script), args)
    }

    /// The call of a script by its digest, once Redis has seen it.
    pub fn evalsha(&self, script: &str, args: &[&str]) -> Cmd {
        let digest = redis::Script::new(source(script));
        self.call("EVALSHA", digest.get_hash(), args)
    }

    fn call(&self, command: &str, script: &str, args: &[&str]) -> Cmd {
        let mut call = cmd(command);
        call.arg(script).arg(self.keys.len()).arg(&self.keys);
        call.arg(&self.common).arg(args);
        call
    }
}

/// The keys of a user: inbox, conversations, journal, and the channel.
pub fn keys_of_user(user: &str) -> [String; 4] {
    let keys = Keys::new();
    [
        keys.inbox(user),
        keys.conversations(user),
        keys.journal(user),
        keys.live(user),
    ]
}

/// Makes a user one who listens, as a device does that connects.
pub fn open_stream(redis: &mut redis::Connection, user: &str) {
    let [_, conversations, journal, _] = keys_of_user(user);
    let mut open = cmd("EVAL");
    open.arg(source("open_stream")).arg(2);
    open.arg(conversations).arg(journal).arg(3600);
    open.exec(redis).unwrap();
}

/// A message as `send_message` takes it: from its second member on.
pub fn draft(from: &str, to: &str, body: &str) -> String {
    let sent_at = "2026-01-31T12:00:00.000Z";
    format!(r#""id":"x","from":"{from}","to":"{to}","sent_at":"{sent_at}","body":"{body}"}}"#)
}

/// Puts messages into a conversation through the script, many in a round trip.
pub fn fill(redis: &mut redis::Connection, from: &str, to: &str, count: usize) {
    let conversation = Conversation::of(from, to);
    let mut load = cmd("SCRIPT");
    load.arg("LOAD").arg(source("send_message"));
    load.exec(redis).unwrap();
    let json = draft(from, to, "hi");
    let send = conversation.evalsha("send_message", &[from, to, &json, "", "", "60"]);
    let mut pipeline = redis::pipe();
    for _ in 0..count {
        pipeline.add_command(send.clone()).ignore();
    }
    pipeline.exec(redis).unwrap();
}
