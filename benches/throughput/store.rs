//! Direct access to the Redis of the service: fills conversations and measures memory and scripts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use duologue::model::{Pair, UserId};
use duologue::store::Keys;
use redis::{Client, Connection, Script};

use crate::Outcome;
use crate::messages::body;

/// The bare script of row (b): appends a message and counts it.
pub const BARE: &str =
    "redis.call('LPUSH', KEYS[1], ARGV[2]) return redis.call('HINCRBY', KEYS[2], ARGV[1], 1)";

/// Appends ARGV[1] messages of the stored format to a conversation.
const FILL: &str = r#"
local state = redis.call('HGET', KEYS[2], 'state') or '0'
local seq = tonumber(string.match(state, '%d+'))
for _ = 1, tonumber(ARGV[1]) do
  seq = seq + 1
  redis.call('LPUSH', KEYS[1], '{"seq":' .. string.format('%.0f', seq) .. ',' .. ARGV[2])
end
redis.call('HSET', KEYS[2], 'state', string.format('%.0f|0|0|0|0|0', seq))
"#;

/// A connection to a Redis.
pub struct Redis {
    connection: Connection,
    keys: Keys,
    pub socket: PathBuf,
    pub pid: u32,
}

impl Redis {
    pub fn connect(socket: &Path) -> Outcome<Self> {
        let client = Client::open(format!("unix://{}", socket.display()))?;
        let mut connection = client.get_connection()?;
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection)?;
        Ok(Self {
            connection,
            keys: Keys::new(),
            socket: socket.to_owned(),
            pid: info.get("process_id").ok_or("no process_id in INFO")?,
        })
    }

    /// Loads the bare script and returns its digest.
    pub fn load_bare(&mut self) -> Outcome<String> {
        let mut load = redis::cmd("SCRIPT");
        Ok(load.arg("LOAD").arg(BARE).query(&mut self.connection)?)
    }

    /// Empties database 1, which row (b) uses. The service uses database 0.
    pub fn flush_bare(&mut self) -> Outcome<()> {
        let mut both = redis::pipe();
        both.cmd("SELECT").arg(1).cmd("FLUSHDB").arg("SYNC");
        both.cmd("SELECT").arg(0).exec(&mut self.connection)?;
        Ok(())
    }

    /// Appends read messages to the conversation of two users. Each call appends at most 10,000, so that
    /// Redis is not blocked for long.
    pub fn fill(&mut self, from: &str, to: &str, messages: u32) -> Outcome<()> {
        const STEP: u32 = 10_000;
        let pair = pair(from, to)?;
        let rest = format!(
            r#""id":"0193a0f2-8f1e-7c3a-9b52-0f6a5d1c2e47","from":"{from}","to":"{to}","body":"{}","sent_at":"2026-01-31T12:00:00.000Z"}}"#,
            body()
        );
        let fill = Script::new(FILL);
        let mut left = messages;
        while left > 0 {
            let step = left.min(STEP);
            fill.key(self.keys.messages(&pair))
                .key(self.keys.meta(&pair))
                .arg(step)
                .arg(&rest)
                .invoke::<()>(&mut self.connection)?;
            left -= step;
        }
        Ok(())
    }

    /// Appends stored messages to the conversation of two users, the last of which has this seq.
    pub fn append(&mut self, from: &str, to: &str, messages: &[String], seq: u32) -> Outcome<()> {
        let pair = pair(from, to)?;
        let state = format!("{seq}|0|0|0|0|0");
        let mut both = redis::pipe();
        both.lpush(self.keys.messages(&pair), messages).ignore();
        both.hset(self.keys.meta(&pair), "state", state).ignore();
        Ok(both.exec(&mut self.connection)?)
    }

    /// The number of messages of a conversation that are in Redis.
    pub fn length(&mut self, from: &str, to: &str) -> Outcome<u32> {
        let key = self.keys.messages(&pair(from, to)?);
        Ok(redis::cmd("LLEN").arg(key).query(&mut self.connection)?)
    }

    /// The number of script calls and the microseconds that Redis spent in them. The service calls functions
    /// (FCALL), the bare script runs by EVALSHA.
    pub fn script_calls(&mut self) -> Outcome<(f64, f64)> {
        calls_of(&mut self.connection, &["fcall", "evalsha"])
    }

    /// Lets the append-only file grow: Redis rewrites it in a copy of its process, and each page that is
    /// written meanwhile is copied too.
    pub fn keep_append_only_file(&mut self) -> Outcome<()> {
        let mut config = redis::cmd("CONFIG");
        config.arg("SET").arg("auto-aof-rewrite-percentage").arg(0);
        Ok(config.exec(&mut self.connection)?)
    }

    /// The bytes of the append-only file.
    pub fn append_only_bytes(&mut self) -> Outcome<f64> {
        let mut info = redis::cmd("INFO");
        let file: redis::InfoDict = info.arg("persistence").query(&mut self.connection)?;
        Ok(file
            .get("aof_current_size")
            .ok_or("no aof_current_size in INFO")?)
    }

    /// The number of messages of a conversation, the bytes of their JSON, and those of the list.
    pub fn message_memory(&mut self, from: &str, to: &str) -> Outcome<(f64, f64, f64)> {
        let key = self.keys.messages(&pair(from, to)?);
        let mut all = redis::cmd("LRANGE");
        let messages: Vec<String> = all.arg(&key).arg(0).arg(-1).query(&mut self.connection)?;
        let json: f64 = messages.iter().map(|json| float(json.len())).sum();
        Ok((float(messages.len()), json, self.memory(&key)?))
    }

    /// The bytes of all keys, by kind of key.
    pub fn memory_by_kind(&mut self) -> Outcome<BTreeMap<String, f64>> {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.connection)?;
        let mut kinds = BTreeMap::new();
        for key in keys {
            let kind = key.split(':').nth(2).unwrap_or("store").to_owned();
            *kinds.entry(kind).or_default() += self.memory(&key)?;
        }
        Ok(kinds)
    }

    /// The bytes of the keys that match a pattern.
    pub fn memory_of(&mut self, pattern: &str) -> Outcome<f64> {
        let mut find = redis::cmd("KEYS");
        let keys: Vec<String> = find.arg(pattern).query(&mut self.connection)?;
        keys.iter().map(|key| self.memory(key)).sum()
    }

    /// All memory that Redis has allocated, in bytes.
    pub fn used_memory(&mut self) -> Outcome<f64> {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut self.connection)?;
        Ok(info.get("used_memory").ok_or("no used_memory in INFO")?)
    }

    fn memory(&mut self, key: &str) -> Outcome<f64> {
        let mut usage = redis::cmd("MEMORY");
        let usage = usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        Ok(usage.query(&mut self.connection)?)
    }

    /// Removes all messages of a conversation but this many of the newest.
    pub fn trim(&mut self, from: &str, to: &str, messages: u32) -> Outcome<()> {
        let key = self.keys.messages(&pair(from, to)?);
        redis::cmd("LTRIM")
            .arg(key)
            .arg(0)
            .arg(messages - 1)
            .exec(&mut self.connection)?;
        Ok(())
    }
}

/// The number of calls of some commands, and the microseconds that Redis spent in them.
pub fn calls_of(connection: &mut Connection, commands: &[&str]) -> Outcome<(f64, f64)> {
    let mut info = redis::cmd("INFO");
    let stats: redis::InfoDict = info.arg("commandstats").query(connection)?;
    let figure = |command: &str, name: &str| -> Option<f64> {
        let line: String = stats.get(&format!("cmdstat_{command}"))?;
        let mut figures = line.split(',').filter_map(|figure| figure.split_once('='));
        figures.find(|figure| figure.0 == name)?.1.parse().ok()
    };
    let sum = |name: &str| {
        let figures = commands.iter().map(|command| figure(command, name));
        figures.flatten().sum()
    };
    Ok((sum("calls"), sum("usec")))
}

#[allow(clippy::cast_precision_loss)]
fn float(number: usize) -> f64 {
    number as f64
}

fn pair(one: &str, other: &str) -> Outcome<Pair> {
    let user = |id: &str| UserId::try_from(id.to_owned());
    Ok(Pair::of(&user(one)?, &user(other)?))
}
