//! Where the servers of a test run: on this machine, or on hosts of a network that can be cut.

use std::process::Command;

/// A host: this machine, or a network namespace.
#[derive(Clone)]
pub struct Host {
    pub ip: String,
    namespace: Option<String>,
}

impl Host {
    pub fn local() -> Self {
        Self {
            ip: "127.0.0.1".to_owned(),
            namespace: None,
        }
    }

    /// A command that runs on this host.
    pub fn command(&self, program: &str) -> Command {
        let Some(namespace) = &self.namespace else {
            return Command::new(program);
        };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, program]);
        command
    }
}

/// Hosts that a bridge connects with one another and with this machine. Removed when dropped.
pub struct TestNetwork {
    name: String,
    pub hosts: Vec<Host>,
}

/// Runs `ip`; whether it succeeded.
fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

impl TestNetwork {
    /// Creates the hosts, which takes root and iproute2; `None` without them.
    pub fn of(count: usize) -> Option<Self> {
        let process = std::process::id();
        let (name, subnet) = (format!("dl{}", process % 10000), process % 250);
        if !ip(&format!("link add {name} type bridge")) {
            return None;
        }
        let mut this = Self {
            name: name.clone(),
            hosts: Vec::new(),
        };
        assert!(ip(&format!("addr add 10.213.{subnet}.1/24 dev {name}")));
        assert!(ip(&format!("link set {name} up")));
        for n in 0..count {
            let (namespace, link) = (format!("{name}h{n}"), format!("{name}v{n}"));
            let address = format!("10.213.{subnet}.{}", n + 11);
            for command in [
                format!("netns add {namespace}"),
                format!("link add {link} type veth peer name eth0 netns {namespace}"),
                format!("link set {link} master {name} up"),
                format!("-n {namespace} addr add {address}/24 dev eth0"),
                format!("-n {namespace} link set eth0 up"),
                format!("-n {namespace} link set lo up"),
            ] {
                assert!(ip(&command), "ip {command}");
            }
            this.hosts.push(Host {
                ip: address,
                namespace: Some(namespace),
            });
        }
        Some(this)
    }

    /// Cuts a host off from all others; packets vanish.
    pub fn cut(&self, host: usize) {
        assert!(ip(&format!("link set {}v{host} down", self.name)));
    }

    pub fn heal(&self, host: usize) {
        assert!(ip(&format!("link set {}v{host} up", self.name)));
    }

    /// Hides a host from this machine, where the service runs, but not from the other hosts.
    pub fn hide(&self, host: usize) {
        assert!(ip(&format!("route add blackhole {}", self.hosts[host].ip)));
    }

    pub fn show(&self, host: usize) {
        assert!(ip(&format!("route del blackhole {}", self.hosts[host].ip)));
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        for (n, host) in self.hosts.iter().enumerate() {
            ip(&format!("route del blackhole {}", host.ip));
            ip(&format!("netns del {}h{n}", self.name));
        }
        ip(&format!("link del {}", self.name));
    }
}
