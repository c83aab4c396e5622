//! Calls of the scripts without the service.

use duologue::model::{Pair, UserId};
use duologue::store::{Keys, SCRIPTS, Script};
use redis::{Cmd, Value, cmd};

use crate::harness::store::outbox::is_in_two_steps;

pub fn script(name: &str) -> &'static Script {
    let script = SCRIPTS.iter().find(|script| script.name == name);
    script.unwrap_or_else(|| panic!("there is no script {name}"))
}

/// The source of a script, with its includes.
pub fn source(name: &str) -> &'static str {
    script(name).source.as_str()
}

/// The call of a script by its text.
pub fn eval(name: &str, keys: &[impl AsRef<str>], args: &[impl AsRef<str>]) -> Cmd {
    let mut eval = cmd("EVAL");
    eval.arg(source(name)).arg(keys.len());
    for arg in keys {
        eval.arg(arg.as_ref());
    }
    for arg in args {
        eval.arg(arg.as_ref());
    }
    eval
}

/// The names of the keys with which a script can be called. Of keys whose number varies, these are the fewest.
pub fn key_names(script: &Script) -> Vec<&'static str> {
    match script.name {
        "ack_events" | "close_feed" | "describe_feed" | "open_feed" | "take_events" => {
            vec!["feed", "readers"]
        }
        "claim_due" => vec!["schedule"],
        "count_long_conversations" => vec!["long"],
        "file_room_events" => vec!["inbox", "conversations", "events", "badges", "leases"],
        "find_unconfirmed" => vec!["outbox"],
        "read_attempts" => vec!["readers"],
        "read_last_messages" => vec!["messages"],
        "read_metadata" | "read_room_summaries" => vec!["meta"],
        _ => names_in(script, "= KEYS["),
    }
}

/// The names that a script gives to the elements of a table: `= KEYS[` or `= ARGV[`.
pub fn names_in(script: &Script, table: &str) -> Vec<&'static str> {
    let lines = script.file.lines().filter(|line| line.contains(table));
    let names = lines.map(|line| line.split_whitespace().nth(1).unwrap());
    names.collect()
}

/// The keys and common arguments of the scripts that change a conversation.
pub struct Conversation {
    pair: Pair,
    retention: String,
    two_steps: bool,
}

impl Conversation {
    /// The conversation of two users, without retention.
    pub fn of(one: &str, other: &str) -> Self {
        let user = |id: &str| UserId::try_from(id.to_owned()).unwrap();
        Self {
            pair: Pair::of(&user(one), &user(other)),
            retention: String::new(),
            two_steps: false,
        }
    }

    /// The same in two steps, as on a cluster: the outbox is in the place of the keys of users.
    #[must_use]
    pub fn in_two_steps(mut self) -> Self {
        self.two_steps = true;
        self
    }

    /// The same with a limit of messages and of time.
    #[must_use]
    pub fn keeping(mut self, messages: &str, since: &str) -> Self {
        self.retention = format!("{messages}|{since}");
        self
    }

    /// The call of a script by its text, with the user who acts, the peer, and the arguments behind
    /// `retention`.
    pub fn eval(&self, script: &str, args: &[&str]) -> Cmd {
        self.call("EVAL", script, source(script), args)
    }

    /// The call of a script by its digest, once Redis has seen it.
    pub fn evalsha(&self, script: &str, args: &[&str]) -> Cmd {
        let digest = redis::Script::new(source(script));
        self.call("EVALSHA", script, digest.get_hash(), args)
    }

    fn call(&self, command: &str, name: &str, script: &str, args: &[&str]) -> Cmd {
        let [user, peer, own @ ..] = args else {
            panic!("no user and peer: {args:?}");
        };
        let names = Keys::new();
        let mut keys = names.conversation(&self.pair).to_vec();
        if self.two_steps {
            keys.extend(std::iter::repeat_n(names.outbox(self.pair.as_str()), 6));
        } else {
            keys.extend(names.user(user));
            keys.extend(names.user(peer));
        }
        keys.push(names.feed(self.pair.as_str()));
        if name == "send_message" {
            keys.push(names.idempotency(&self.pair, None));
        }
        let mut call = cmd(command);
        call.arg(script).arg(keys.len()).arg(keys);
        call.arg(user).arg(peer).arg(&self.retention).arg(own);
        call
    }
}

/// The keys of a user: inbox, conversations, events.
pub fn keys_of_user(user: &str) -> [String; 3] {
    Keys::new().user(user)
}

/// Opens the stream of a user, like a device that connects.
pub fn open_stream(redis: &mut impl redis::ConnectionLike, user: &str) {
    let [_, conversations, events] = keys_of_user(user);
    let open = eval("open_stream", &[conversations, events], &["3600"]);
    open.exec(redis).unwrap();
}

/// The JSON of a message for `send_message`, from its second member on.
pub fn draft(from: &str, to: &str, body: &str) -> String {
    let (id, sent_at) = (
        "0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47",
        "2026-01-31T12:00:00.000Z",
    );
    format!(r#""from":"{from}","to":"{to}","id":"{id}","sent_at":"{sent_at}","body":"{body}"}}"#)
}

/// Sends messages by the script, many in a round trip.
pub fn fill(redis: &mut impl redis::ConnectionLike, from: &str, to: &str, count: usize) {
    fill_with(redis, [from, to], &draft(from, to, "hi"), count, count);
}

/// Sends messages with one JSON by the script, so many in a round trip.
pub fn fill_with(
    redis: &mut impl redis::ConnectionLike,
    [from, to]: [&str; 2],
    json: &str,
    count: usize,
    at_once: usize,
) {
    let mut conversation = Conversation::of(from, to);
    if is_in_two_steps() {
        conversation = conversation.in_two_steps();
    }
    let mut load = cmd("SCRIPT");
    load.arg("LOAD").arg(source("send_message"));
    load.exec(redis).unwrap();
    let send = conversation.evalsha("send_message", &[from, to, json]);
    for sent in (0..count).step_by(at_once.max(1)) {
        let mut pipeline = redis::pipe();
        for _ in 0..at_once.min(count - sent) {
            pipeline.add_command(send.clone()).ignore();
        }
        pipeline.exec(redis).unwrap();
    }
    if is_in_two_steps() && count > 0 {
        let repeat = conversation.eval("repeat_updates", &[from, to]);
        let updates: Vec<Value> = repeat.query(redis).unwrap();
        for (user, update) in [(from, &updates[2]), (to, &updates[3])] {
            update_inbox(redis, user, update);
        }
    }
}

/// Makes the update of one inbox that the first step of a change returned, as the service does.
pub fn update_inbox(redis: &mut impl redis::ConnectionLike, user: &str, update: &Value) -> String {
    let mut args: Vec<String> = redis::from_redis_value(update.clone()).unwrap();
    args.push(user.to_owned());
    let mut keys = keys_of_user(user).to_vec();
    let outcome: String = eval("update_inbox", &keys, &args).query(redis).unwrap();
    if outcome != "absent" {
        return outcome;
    }
    keys.push(Keys::new().forgotten(user, &args[0]));
    eval("update_inbox", &keys, &args).query(redis).unwrap()
}
