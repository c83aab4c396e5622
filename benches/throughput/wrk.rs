//! Load over HTTP: `wrk`, and the scripts that define its requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::load::{Load, PEERS, USERS};
use crate::messages::{body, user};
use crate::process::run;

/// One user in this many sends with a token.
const STRIDE: u32 = 20;

/// How a script chooses users, and the format of their names.
struct Draw<'a> {
    /// Lua that runs once, before the first request.
    setup: &'a str,
    /// Lua that runs before each request and sets `a`, the sender, and `b`, the recipient.
    each: &'a str,
    /// The format of a sender's name.
    from: &'a str,
    /// The format of a recipient's name.
    to: &'a str,
}

/// A script for `wrk`.
#[derive(Clone)]
pub struct Requests(PathBuf);

impl Requests {
    /// Sends between two users that are drawn for each request.
    pub fn sends(dir: &Path) -> Outcome<Self> {
        let each = format!(
            "local a = math.random(0, {USERS} - 1)\n\
             local b = (a + math.random({PEERS})) % {USERS}\n\
             if math.random(2) == 1 then a, b = b, a end"
        );
        let draw = Draw {
            setup: "",
            each: &each,
            from: "user%05d",
            to: "user%05d",
        };
        Self::posts(dir, "sends.lua", &draw)
    }

    /// The users that send in [`Self::sends_with`], each of which needs a token.
    pub fn senders() -> impl Iterator<Item = String> {
        (0..USERS).step_by(STRIDE as usize).map(user)
    }

    /// Sends from each of the [`Self::senders`] with the token at its index, or without a token if
    /// `tokens` is empty.
    pub fn sends_with(dir: &Path, name: &str, tokens: &[String]) -> Outcome<Self> {
        let tokens: String = tokens
            .iter()
            .flat_map(|token| ["'Bearer ", token, "',\n"])
            .collect();
        let each = format!(
            "local sender = math.random({USERS} / {STRIDE})\n\
             local a = (sender - 1) * {STRIDE}\n\
             local b = (a + math.random({PEERS})) % {USERS}\n\
             headers['Authorization'] = tokens[sender]"
        );
        let draw = Draw {
            setup: &format!("local tokens = {{\n{tokens}}}"),
            each: &each,
            from: "user%05d",
            to: "user%05d",
        };
        Self::posts(dir, name, &draw)
    }

    /// Sends from one user to one other.
    pub fn sends_between(dir: &Path, from: &str, to: &str) -> Outcome<Self> {
        let draw = Draw {
            setup: "",
            each: "local a, b = '', ''",
            from: &format!("{from}%s"),
            to: &format!("{to}%s"),
        };
        Self::posts(dir, &format!("{from}-{to}.lua"), &draw)
    }

    fn posts(dir: &Path, name: &str, draw: &Draw) -> Outcome<Self> {
        let Draw {
            setup,
            each,
            from,
            to,
        } = draw;
        let body = body();
        let lua = format!(
            r#"local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set('number', threads)
end
function init()
  math.randomseed(os.time() + number)
end
local headers = {{ ['Content-Type'] = 'application/json' }}
{setup}
function request()
  {each}
  local json = string.format('{{"from":"{from}","to":"{to}","body":"{body}"}}', a, b)
  return wrk.format('POST', '/messages', headers, json)
end
"#
        );
        Self::write(dir, name, &lua)
    }

    /// Reads of one path.
    pub fn reads(dir: &Path, name: &str, path: &str) -> Outcome<Self> {
        let lua = format!("function request()\n  return wrk.format('GET', '{path}')\nend\n");
        Self::write(dir, name, &lua)
    }

    fn write(dir: &Path, name: &str, lua: &str) -> Outcome<Self> {
        let file = dir.join(name);
        fs::write(&file, lua)?;
        Ok(Self(file))
    }

    /// Runs the script for this many seconds and connections. Fails unless every request succeeds.
    pub fn run(&self, url: &str, seconds: u32, connections: u32) -> Outcome<Load> {
        let text = run(Command::new("wrk")
            .args(["--threads", "2", "--latency"])
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &seconds.to_string()])
            .arg("--script")
            .arg(&self.0)
            .arg(url))?;
        for failure in ["Non-2xx", "Socket errors"] {
            if let Some(line) = text.lines().find(|line| line.contains(failure)) {
                return Err(format!("wrk: {}", line.trim()).into());
            }
        }
        parse(&text).ok_or_else(|| format!("wrk printed an unknown format:\n{text}").into())
    }
}

/// Parses the report of `wrk`.
fn parse(text: &str) -> Option<Load> {
    let after = |label: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(label));
        line.and_then(|line| line.split_whitespace().nth(1))
    };
    let requests = text
        .lines()
        .find_map(|line| line.split_once(" requests in"));
    Some(Load {
        requests: requests?.0.trim().parse().ok()?,
        per_second: after("Requests/sec:")?.parse().ok()?,
        p50: Some(milliseconds(after("50%")?)?),
        p99: Some(milliseconds(after("99%")?)?),
    })
}

/// Parses a duration of `wrk`: `873.00us`, `1.20ms`, `1.01s`.
fn milliseconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let factor = match &text[number.len()..] {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}
