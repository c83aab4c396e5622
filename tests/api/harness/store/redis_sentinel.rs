//! A master, its replica and a sentinel that watches them.

use std::time::{Duration, Instant};

use crate::harness::store::tcp_server::{TcpServer, free_port};

/// The servers of the service `mymaster`.
pub struct RedisSentinel {
    pub master: TcpServer,
    pub replica: TcpServer,
    pub sentinel: TcpServer,
}

/// A master with a replica that has all its data.
pub fn replicated() -> (TcpServer, TcpServer) {
    replicated_with(&[])
}

/// The same with these further options, for example those of TLS.
fn replicated_with(options: &[&str]) -> (TcpServer, TcpServer) {
    let options = [&["--repl-diskless-sync-delay", "0"], options].concat();
    let master = TcpServer::start(&options);
    let port = port_for_others(&master);
    let replica = TcpServer::start(&[&options[..], &["--replicaof", "127.0.0.1", &port]].concat());
    wait("the replica confirms what it gets", || {
        confirms_changes(&master)
    });
    (master, replica)
}

impl RedisSentinel {
    /// Starts the servers. The sentinel declares a master dead that does not answer for three seconds: a
    /// busy machine delays answers for one.
    pub fn start() -> Self {
        Self::with_options(&[])
    }

    /// The same with these further options of all servers, for example those of TLS.
    pub fn with_options(options: &[&str]) -> Self {
        let (master, replica) = replicated_with(options);
        let sentinel = TcpServer::start(&[options, &["--sentinel"]].concat());
        let port = port_for_others(&master);
        sentinel.run(&format!("SENTINEL MONITOR mymaster 127.0.0.1 {port} 1"));
        sentinel.run("SENTINEL SET mymaster down-after-milliseconds 3000");
        sentinel.run("SENTINEL SET mymaster failover-timeout 3000");
        let this = Self {
            master,
            replica,
            sentinel,
        };
        wait("the sentinel knows the replica", || this.knows_replica());
        this
    }

    /// The URL, whose first sentinel does not exist.
    pub fn url(&self) -> String {
        self.url_of("mymaster")
    }

    pub fn url_of(&self, service: &str) -> String {
        let sentinel = self.sentinel.address();
        format!(
            "redis+sentinel://127.0.0.1:{},{sentinel}/{service}",
            free_port()
        )
    }

    /// Whether the sentinel names the replica as the master.
    pub fn has_failed_over(&self) -> bool {
        self.named_master().to_string() == port_for_others(&self.replica)
    }

    /// Makes the replica the master as soon as it has everything.
    pub fn hand_over(&self) {
        wait("the replica has everything", || {
            confirms_changes(&self.master)
        });
        self.fail_over();
    }

    /// Makes the replica the master while both work. The sentinel does not wait for what the replica lacks, which is lost.
    pub fn fail_over(&self) {
        self.sentinel.run("SENTINEL FAILOVER mymaster");
    }

    /// The port of the master that the sentinel names.
    pub fn named_master(&self) -> u16 {
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg("mymaster");
        let address: (String, u16) = command.query(&mut self.sentinel.connect()).unwrap();
        address.1
    }

    fn knows_replica(&self) -> bool {
        let mut command = redis::cmd("SENTINEL");
        let replicas = command.arg("REPLICAS").arg("mymaster");
        let replicas: Vec<redis::Value> = replicas.query(&mut self.sentinel.connect()).unwrap();
        !replicas.is_empty()
    }
}

/// The port that replicas, sentinels and clients of a server use: the one with TLS, if it has one.
pub fn port_for_others(server: &TcpServer) -> String {
    let tls = server.option("--tls-port");
    tls.map_or_else(|| server.port.to_string(), str::to_owned)
}

/// A field of `INFO`; empty while the server closes its connections because its role changes.
pub fn info(server: &TcpServer, field: &str) -> String {
    let connection = redis::Client::open(server.url()).unwrap().get_connection();
    let info =
        connection.and_then(|mut open| redis::cmd("INFO").query::<redis::InfoDict>(&mut open));
    info.ok()
        .and_then(|info| info.get(field))
        .unwrap_or_default()
}

/// Whether a replica confirms the changes of a master. It is `online` up to a second before the master sends
/// it any change.
pub fn confirms_changes(master: &TcpServer) -> bool {
    let mut change = redis::pipe();
    change.cmd("SET").arg("change").arg(1).ignore();
    change.cmd("DEL").arg("change").ignore();
    change.cmd("WAIT").arg(1).arg(100);
    let connection = redis::Client::open(master.url()).unwrap().get_connection();
    let confirmed = connection.and_then(|mut open| change.query::<(u8,)>(&mut open));
    confirmed.is_ok_and(|(replicas,)| replicas == 1)
}

/// Waits until a condition of servers holds.
pub fn wait(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
