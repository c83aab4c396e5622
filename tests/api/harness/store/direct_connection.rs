//! A connection of a test to the Redis of a service: one server, or all masters of a cluster.

use std::time::Duration;

use redis::{ConnectionLike, RedisResult, Value};

use crate::harness::store::cluster_nodes::cluster_nodes;
use crate::harness::store::redis_server::connect;

/// How long a server may take that may have failed.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Runs commands at the master that has their key.
pub struct DirectConnection {
    masters: Vec<redis::Connection>,
}

impl DirectConnection {
    /// Connects to these servers, of which all but one are masters of a cluster.
    pub fn to<'a>(urls: impl IntoIterator<Item = &'a str>) -> Self {
        let masters = urls.into_iter().map(connect).collect();
        Self { masters }
    }

    /// Connects to those of these servers that answer within a second, as must every command.
    pub fn to_reachable<'a>(urls: impl IntoIterator<Item = &'a str>) -> Self {
        let connect = |url: &str| {
            let client = redis::Client::open(url).ok()?;
            let connection = client.get_connection_with_timeout(TIMEOUT).ok()?;
            connection.set_read_timeout(Some(TIMEOUT)).ok()?;
            Some(connection)
        };
        let masters = urls.into_iter().filter_map(connect).collect();
        Self { masters }
    }

    /// Runs a command at each master. Lists are joined; of other replies the last counts.
    fn run_at_all(&mut self, command: &[u8]) -> RedisResult<Value> {
        let mut joined = Value::Nil;
        for master in &mut self.masters {
            let reply = master.req_packed_command(command)?.extract_error()?;
            joined = match (joined, reply) {
                (Value::Array(mut one), Value::Array(other)) => {
                    one.extend(other);
                    Value::Array(one)
                }
                (_, reply) => reply,
            };
        }
        Ok(joined)
    }
}

/// The URLs of the masters of the cluster that a node belongs to.
pub fn masters_of(node: &str) -> Vec<String> {
    let mut connection = connect(&format!("redis://{node}"));
    let nodes = redis::cmd("CLUSTER").arg("NODES").query(&mut connection);
    let nodes: String = nodes.unwrap();
    let masters = cluster_nodes(&nodes)
        .into_iter()
        .filter(|node| node.is_master);
    masters
        .map(|master| format!("redis://{}", master.address))
        .collect()
}

/// Whether a packed command has no key and concerns all masters.
fn is_for_all(command: &[u8]) -> bool {
    // *2\r\n$4\r\nKEYS\r\n...
    let name = command
        .split(|byte| *byte == b'\n')
        .nth(2)
        .unwrap_or_default();
    let name = name.trim_ascii().to_ascii_uppercase();
    let names: [&[u8]; 8] = [
        b"FLUSHALL",
        b"CONFIG",
        b"SCRIPT",
        b"FUNCTION",
        b"CLIENT",
        b"KEYS",
        b"DEBUG",
        b"ACL",
    ];
    names.contains(&&name[..])
}

/// The commands of a pipeline.
fn split(mut pipeline: &[u8]) -> Vec<&[u8]> {
    let mut commands = Vec::new();
    while !pipeline.is_empty() {
        // *2, then for each argument its length, such as $4, and its bytes.
        let (count, mut end) = header(pipeline, 0);
        for _ in 0..count {
            let (length, start) = header(pipeline, end);
            end = start + length + 2;
        }
        let (command, rest) = pipeline.split_at(end);
        commands.push(command);
        pipeline = rest;
    }
    commands
}

/// The number in the line at a place, and where the next line begins.
fn header(text: &[u8], at: usize) -> (usize, usize) {
    let length = text[at..].iter().position(|byte| *byte == b'\n').unwrap();
    let number = std::str::from_utf8(&text[at + 1..at + length - 1]).unwrap();
    (number.parse().unwrap(), at + length + 1)
}

impl ConnectionLike for DirectConnection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        if is_for_all(command) {
            return self.run_at_all(command);
        }
        let mut reply = Ok(Value::Nil);
        for master in &mut self.masters {
            reply = master
                .req_packed_command(command)
                .and_then(Value::extract_error);
            if !reply
                .as_ref()
                .is_err_and(|error| error.code() == Some("MOVED"))
            {
                break;
            }
        }
        reply
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        if let [only] = &mut self.masters[..] {
            return only.req_packed_commands(commands, offset, count);
        }
        let commands = split(commands).into_iter();
        let replies = commands.map(|command| self.req_packed_command(command));
        replies.skip(offset).take(count).collect()
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        self.masters
            .iter_mut()
            .all(ConnectionLike::check_connection)
    }

    fn is_open(&self) -> bool {
        self.masters.iter().all(ConnectionLike::is_open)
    }
}
