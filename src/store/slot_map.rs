//! The nodes of a Redis Cluster, and which of them has which slot.

use std::fmt;
use std::sync::Arc;

use redis::Value;

use super::keys::SLOTS;

/// The index of a slot that no node has.
const NOBODY: u16 = u16::MAX;

/// A Redis that takes writes, by its address. On one Redis and behind sentinels there is a single one, whose
/// name is empty because its address may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(Arc<str>);

/// The masters and the index of the master of each slot.
pub(super) struct SlotMap {
    masters: Vec<Node>,
    slots: Vec<u16>,
}

impl Node {
    /// The node of a store that has only one.
    pub(super) fn only() -> Self {
        Self("".into())
    }

    pub(super) fn at(host: &str, port: u16) -> Self {
        // As in MOVED, an IPv6 address has no brackets.
        Self(format!("{host}:{port}").into())
    }

    /// The node that a redirection names; `from` is the node that sent it.
    pub(super) fn redirected(address: &str, from: &Node) -> Self {
        match address.strip_prefix(':') {
            // An empty host means the host of the node that answered.
            Some(port) => {
                let host = from.0.rsplit_once(':').map_or("", |(host, _)| host);
                Self(format!("{host}:{port}").into())
            }
            None => Self(address.into()),
        }
    }

    pub(super) fn host_and_port(&self) -> Option<(String, u16)> {
        let (host, port) = self.0.rsplit_once(':')?;
        Some((host.to_owned(), port.parse().ok()?))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SlotMap {
    /// A map of no slots.
    pub(super) fn empty() -> Self {
        Self {
            masters: Vec::new(),
            slots: vec![NOBODY; usize::from(SLOTS)],
        }
    }

    /// The master of a slot; any master if nobody has it.
    pub(super) fn master_of(&self, slot: u16) -> Option<&Node> {
        let index = self.slots.get(usize::from(slot)).copied();
        let master = self.masters.get(usize::from(index.unwrap_or(NOBODY)));
        master.or(self.masters.first())
    }

    /// The masters that have slots.
    pub(super) fn masters(&self) -> Vec<Node> {
        let mut used = self.slots.clone();
        used.sort_unstable();
        used.dedup();
        let master = |index: u16| self.masters.get(usize::from(index)).cloned();
        used.into_iter().filter_map(master).collect()
    }

    /// Gives a slot to a master. Returns whether it had another one.
    pub(super) fn assign(&mut self, slot: u16, node: &Node) -> bool {
        let index = self.index(node);
        match self.slots.get_mut(usize::from(slot)) {
            Some(master) if *master != index => {
                *master = index;
                true
            }
            _ => false,
        }
    }

    /// The index of a master, which is added if it is new.
    fn index(&mut self, node: &Node) -> u16 {
        let known = self.masters.iter().position(|known| known == node);
        let index = known.unwrap_or_else(|| {
            self.masters.push(node.clone());
            self.masters.len() - 1
        });
        u16::try_from(index).unwrap_or(NOBODY)
    }

    /// The reply of `CLUSTER SLOTS`: first slot, last slot, master and replicas of each range.
    pub(super) fn parse(reply: &Value, asked: &Node) -> Self {
        let mut map = Self::empty();
        let Value::Array(ranges) = reply else {
            return map;
        };
        for range in ranges {
            let Value::Array(range) = range else { continue };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] = &range[..]
            else {
                continue;
            };
            let Some(node) = parse_node(master, asked) else {
                continue;
            };
            let index = map.index(&node);
            let range = usize::try_from(*first)
                .ok()
                .zip(usize::try_from(*last).ok());
            let slots = range.and_then(|(first, last)| map.slots.get_mut(first..=last));
            slots.unwrap_or_default().fill(index);
        }
        map
    }

    /// Whether both maps name the same master for each slot.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let mut pairs: Vec<_> = self.slots.iter().zip(&other.slots).collect();
        pairs.dedup();
        let master = |map: &Self, index: u16| map.masters.get(usize::from(index)).cloned();
        let agrees = |(one, two): (&u16, &u16)| master(self, *one) == master(other, *two);
        pairs.into_iter().all(agrees)
    }
}

/// The node of `host, port, ...` in the reply of `asked`.
fn parse_node(described: &[Value], asked: &Node) -> Option<Node> {
    let [host, Value::Int(port), ..] = described else {
        return None;
    };
    let port = u16::try_from(*port).ok()?;
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        _ => "",
    };
    match host {
        // The cluster does not know the host.
        "?" => None,
        "" => Some(Node::redirected(&format!(":{port}"), asked)),
        host => Some(Node::at(host, port)),
    }
}
