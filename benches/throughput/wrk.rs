//! Load over HTTP: `wrk`, and the scripts that define its requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::load::{CONNECTIONS, Load, PEERS, USERS};
use crate::messages::{body, user};
use crate::process::run;

/// One user in this many sends with a token.
const STRIDE: u32 = 20;

/// Draws `a`, the number of a sender, and `b`, that of one of the users with whom it exchanges messages.
fn draw_users() -> String {
    format!(
        "local a = math.random(0, {USERS} - 1)\n\
         local b = (a + math.random({PEERS})) % {USERS}\n\
         if math.random(2) == 1 then a, b = b, a end"
    )
}

/// The requests of a script: what it draws for each, and where it sends what.
struct Posts<'a> {
    /// Lua that runs once, before the first request.
    setup: &'a str,
    /// Lua that runs before each request.
    each: &'a str,
    path: &'a str,
    /// The format of the request's body, and the Lua values that fill it.
    json: &'a str,
    values: &'a str,
}

impl<'a> Posts<'a> {
    /// Messages between the users `a` and `b`, which `each` sets, as these formats name them.
    fn messages(setup: &'a str, each: &'a str, json: &'a str) -> Self {
        Self {
            setup,
            each,
            path: "/messages",
            json,
            values: "a, b",
        }
    }
}

/// The JSON of a message, with formats for the names of both users.
pub fn message(from: &str, to: &str) -> String {
    format!(r#"{{"from":"{from}","to":"{to}","body":"{}"}}"#, body())
}

/// A script for `wrk`.
#[derive(Clone)]
pub struct Requests(PathBuf);

impl Requests {
    /// Sends between two users that are drawn for each request.
    pub fn sends(dir: &Path) -> Outcome<Self> {
        let json = message("user%05d", "user%05d");
        let each = draw_users();
        Self::posts(dir, "sends.lua", &Posts::messages("", &each, &json))
    }

    /// The same as publications of Centrifugo, in a channel for each pair.
    pub fn publications(dir: &Path) -> Outcome<Self> {
        let message = message("user%05d", "user%05d");
        let posts = Posts {
            setup: "",
            each: &draw_users(),
            path: "/api/publish",
            json: &format!(r#"{{"channel":"%05d-%05d","data":{message}}}"#),
            values: "math.min(a, b), math.max(a, b), a, b",
        };
        Self::posts(dir, "publications.lua", &posts)
    }

    /// Sends within pairs of neighbours among this many users: 0 and 1, 2 and 3, ...
    pub fn sends_among(dir: &Path, users: u32) -> Outcome<Self> {
        let each = format!(
            "local a = 2 * math.random(0, {users} / 2 - 1)\n\
             local b = a + 1\n\
             if math.random(2) == 1 then a, b = b, a end"
        );
        let json = message("user%05d", "user%05d");
        let posts = Posts::messages("", &each, &json);
        Self::posts(dir, &format!("among-{users}.lua"), &posts)
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
        let setup = format!("local tokens = {{\n{tokens}}}");
        let json = message("user%05d", "user%05d");
        Self::posts(dir, name, &Posts::messages(&setup, &each, &json))
    }

    /// Sends from one user to one other.
    pub fn sends_between(dir: &Path, from: &str, to: &str) -> Outcome<Self> {
        let name = format!("{from}-{to}.lua");
        Self::posts_of(dir, &name, "/messages", &message(from, to))
    }

    /// The same body for each request.
    pub fn posts_of(dir: &Path, name: &str, path: &str, json: &str) -> Outcome<Self> {
        let posts = Posts {
            setup: "",
            each: "",
            path,
            json: "%s",
            values: &format!("'{json}'"),
        };
        Self::posts(dir, name, &posts)
    }

    fn posts(dir: &Path, name: &str, posts: &Posts) -> Outcome<Self> {
        let Posts {
            setup,
            each,
            path,
            json,
            values,
        } = posts;
        let lua = format!(
            r"local threads = 0
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
  local json = string.format('{json}', {values})
  return wrk.format('POST', '{path}', headers, json)
end
"
        );
        Self::write(dir, name, &lua)
    }

    /// Reads of one path.
    pub fn reads(dir: &Path, name: &str, path: &str) -> Outcome<Self> {
        let lua = format!("function request()\n  return wrk.format('GET', '{path}')\nend\n");
        Self::write(dir, name, &lua)
    }

    /// The same requests, about this many a second over [`CONNECTIONS`], each of which waits for a random time
    /// before its next request.
    pub fn paced(&self, per_second: u32) -> Outcome<Self> {
        let longest = 2 * CONNECTIONS * 1000 / per_second;
        let lua = fs::read_to_string(&self.0)?;
        let delay = format!("function delay()\n  return math.random(0, {longest})\nend\n");
        let file = self.0.with_extension("paced.lua");
        fs::write(&file, lua + &delay)?;
        Ok(Self(file))
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
