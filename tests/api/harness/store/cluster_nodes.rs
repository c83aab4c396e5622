//! What a node of a Redis Cluster says of all nodes (`CLUSTER NODES`).

/// A node as another one knows it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterNode {
    pub id: String,
    /// Where clients reach it: `127.0.0.1:7000`.
    pub address: String,
    pub port: u16,
    pub is_master: bool,
    /// Whether it is, or may be, out of reach.
    pub has_failed: bool,
    /// The id of its master, if it is a replica.
    pub master: String,
    /// Its configuration epoch: of two masters that claim a slot, the one with the greater epoch has it.
    pub epoch: u64,
    /// Its slots, if it is a master, but for those that are moving: `0-5460`.
    pub slots: Vec<(u16, u16)>,
}

/// Parses the reply of `CLUSTER NODES`.
pub fn cluster_nodes(reply: &str) -> Vec<ClusterNode> {
    reply.lines().map(parse).collect()
}

/// A line: id, address@bus, flags, master, ping, pong, epoch, link, slots.
fn parse(line: &str) -> ClusterNode {
    let fields: Vec<_> = line.split(' ').collect();
    let address = fields[1].split('@').next().unwrap();
    // Those in brackets are moving.
    let slots = fields[8..].iter().filter(|slots| !slots.starts_with('['));
    let range = |slots: &&str| {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        (first.parse().unwrap(), last.parse().unwrap())
    };
    ClusterNode {
        id: fields[0].to_owned(),
        address: address.to_owned(),
        port: address.rsplit(':').next().unwrap().parse().unwrap(),
        is_master: fields[2].contains("master"),
        has_failed: fields[2].contains("fail"),
        master: fields[3].to_owned(),
        epoch: fields[6].parse().unwrap(),
        slots: slots.map(range).collect(),
    }
}
