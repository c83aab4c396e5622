//! Sends and reads of this service beside those of services that do the same with other frameworks.
//!
//! `make bench-peers` installs them into a folder of their own, which `PEERS_DIR` names. Each service has a
//! `redis-server` of its own; the rounds alternate between the services.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::load::{CONNECTIONS, Load};
use crate::process::{cpu, cpu_of_group, duologue};
use crate::redis_server::{RedisServer, free_ports, wait_until};
use crate::report::{Report, Row, Target};
use crate::wrk::{Requests, message};
use crate::{Interrupt, Outcome, chart};

/// Rounds of each row. Odd, so that one of them is the median.
const ROUNDS: usize = 3;
/// Seconds of a round, and the longest that `PEERS_SECONDS` may make it.
const SECONDS: u32 = 5;
const LONGEST: u32 = 10;
/// Seconds of warming up before the first round.
const WARM_UP: u32 = 2;
/// Requests per second of the rows that do not saturate the machine.
const RATE: u32 = 1_000;
/// What is measured of each service.
const WORKLOADS: [&str; 3] = ["send, saturated", "send, 1,000/s", "page of 50, saturated"];
/// Maximum CPU, of service and Redis, relative to the service with fastify: for a send and for a page.
const SEND_TARGET: f64 = 0.8;
const PAGE_TARGET: f64 = 0.7;
const OURS: &str = "Duologue";
const FASTIFY: &str = "fastify + ioredis";
/// The chart of the results, in the folder of the crate.
const CHART: &str = "docs/benchmarks-peers.svg";

/// Runs the program of the arguments, and ends it and its children when the standard input ends. So none of
/// them outlives the benchmark, however that ends.
const SHELL: &str = r#"exec 3<&0
"$@" &
service=$!
{ read -r _ <&3; kill -TERM 0; } &
wait $service"#;

/// A service in a process group of its own, with its Redis.
struct Peer {
    name: &'static str,
    url: String,
    shell: Child,
    redis: RedisServer,
    requests: [Requests; 3],
    rows: [Row; 3],
}

impl Peer {
    /// Starts the service of a command, which listens on the port and uses the Redis that `command` is given.
    fn start(
        name: &'static str,
        requests: [Requests; 3],
        command: impl FnOnce(u16, &str) -> Command,
    ) -> Outcome<Self> {
        let redis = RedisServer::start(&["--auto-aof-rewrite-percentage", "0"])?;
        let (port, _) = free_ports()?;
        let command = command(port, &format!("redis://{}", redis.address()));
        let peer = Self {
            name,
            url: format!("http://127.0.0.1:{port}"),
            shell: in_group(&command).spawn()?,
            redis,
            requests,
            rows: WORKLOADS.map(Row::new),
        };
        wait_until(&format!("{name} answers"), || Ok(answers(port).is_ok()))?;
        Ok(peer)
    }

    fn run(&self, workload: usize, seconds: u32) -> Outcome<Load> {
        let load = self.requests[workload].run(&self.url, seconds, CONNECTIONS);
        load.map_err(|error| format!("{}: {error}", self.name).into())
    }

    fn measure(&mut self, workload: usize, seconds: u32) -> Outcome<()> {
        let group = self.shell.id();
        let before = (cpu_of_group(group)?, cpu(self.redis.pid)?);
        let load = self.run(workload, seconds)?;
        let service = cpu_of_group(group)? - before.0;
        let redis = cpu(self.redis.pid)? - before.1;
        self.rows[workload].add(&load, Some(service), Some(redis));
        Ok(())
    }

    /// Microseconds of CPU of a request, of the service and of Redis.
    fn costs(&self, workload: usize) -> (f64, f64) {
        let row = &self.rows[workload];
        let (service, redis) = (row.service(), row.redis());
        (service.unwrap_or(f64::NAN), redis.unwrap_or(f64::NAN))
    }

    fn all_cpu(&self, workload: usize) -> f64 {
        let (service, redis) = self.costs(workload);
        service + redis
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A command that runs another one in a process group of its own.
fn in_group(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", SHELL, "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::piped()).stdout(Stdio::null());
    shell.process_group(0);
    shell
}

/// Whether a service answers any request. A port may accept connections before a worker does.
fn answers(port: u16) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    stream.read_exact(&mut [0])
}

/// Measures all services, adds the tables to the report and draws the chart.
pub fn measure(interrupt: &Interrupt, workers: usize, report: &mut Report) -> Outcome<()> {
    let installed = std::env::var_os("PEERS_DIR").ok_or("run `make bench-peers`")?;
    let seconds = match std::env::var("PEERS_SECONDS") {
        Ok(seconds) => seconds.parse::<u32>()?.clamp(1, LONGEST),
        Err(_) => SECONDS,
    };
    let dir = tempfile::Builder::new().prefix("duologue-").tempdir()?;
    let mut peers = start_all(&dir, Path::new(&installed), workers)?;
    for (workload, name) in WORKLOADS.iter().enumerate() {
        eprintln!("measuring {name} ...");
        for peer in &peers {
            peer.run(workload, WARM_UP)?;
        }
        for _ in 0..ROUNDS {
            for peer in &mut peers {
                interrupt.check()?;
                peer.measure(workload, seconds)?;
            }
        }
    }
    add_rows(&peers, report);
    add_targets(&peers, report);
    draw(&peers)
}

fn start_all(dir: &TempDir, installed: &Path, workers: usize) -> Outcome<Vec<Peer>> {
    let (dir, workers) = (dir.path(), workers.to_string());
    let sends = Requests::sends(dir)?;
    let reads = Requests::reads(dir, "page.lua", "/conversations/ben/ann?limit=50")?;
    let messages = [sends.clone(), sends.paced(RATE)?, reads];
    let mut peers = vec![
        Peer::start(OURS, messages.clone(), |port, redis| {
            let mut command = duologue();
            command.args(["--bind", &format!("127.0.0.1:{port}"), "--log", "error"]);
            command.args(["--workers", &workers, "--redis-url", redis]);
            command
        })?,
        Peer::start(FASTIFY, messages.clone(), |port, redis| {
            let mut command = Command::new("node");
            command.arg(source("fastify/app.js"));
            command.env("NODE_PATH", installed.join("node_modules"));
            command
                .env("PORT", port.to_string())
                .env("REDIS_URL", redis);
            command.env("WORKERS", &workers);
            command
        })?,
        Peer::start("FastAPI + redis-py", messages, |port, redis| {
            let mut command = Command::new(installed.join("venv/bin/uvicorn"));
            command.args(["app:app", "--no-access-log", "--log-level", "error"]);
            command.arg("--app-dir").arg(source("fastapi"));
            command.args(["--workers", &workers, "--port", &port.to_string()]);
            command.env("REDIS_URL", redis);
            command.env("PYTHONDONTWRITEBYTECODE", "1");
            command
        })?,
    ];
    let one = Requests::sends_between(dir, "ann", "ben")?;
    for peer in &peers {
        one.run(&peer.url, WARM_UP, CONNECTIONS)?;
    }
    let centrifugo = installed.join("centrifugo");
    if centrifugo.exists() {
        peers.push(start_centrifugo(dir, &centrifugo)?);
    } else {
        println!(
            "Centrifugo is left out: it is built from source by a Go toolchain, which is missing or has failed."
        );
    }
    println!(
        "Tinode is left out: it keeps messages in a database server and takes them only within a session, so \
         there is no request to compare."
    );
    Ok(peers)
}

/// Starts Centrifugo, with a channel for each pair of users and its history in Redis.
fn start_centrifugo(dir: &Path, program: &Path) -> Outcome<Peer> {
    let publications = Requests::publications(dir)?;
    let history = r#"{"channel":"ann-ben","limit":50,"reverse":true}"#;
    let history = Requests::posts_of(dir, "history.lua", "/api/history", history)?;
    let requests = [publications.clone(), publications.paced(RATE)?, history];
    let peer = Peer::start("Centrifugo", requests, |port, redis| {
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(source("centrifugo/config.json"));
        command.env("CENTRIFUGO_HTTP_SERVER_ADDRESS", "127.0.0.1");
        command.env("CENTRIFUGO_HTTP_SERVER_PORT", port.to_string());
        command.env("CENTRIFUGO_ENGINE_REDIS_ADDRESS", redis);
        command
    })?;
    let message = format!(
        r#"{{"channel":"ann-ben","data":{}}}"#,
        message("ann", "ben")
    );
    let publish = Requests::posts_of(dir, "publish.lua", "/api/publish", &message)?;
    publish.run(&peer.url, WARM_UP, CONNECTIONS)?;
    Ok(peer)
}

/// A file of the services that are measured.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/peers")
        .join(name)
}

fn add_rows(peers: &[Peer], report: &mut Report) {
    let mut table = format!(
        "\n| {:<21} | {:<18} | {:>10} | {:>6} | {:>6} | {:>7} | {:>6} | {:>6} |\n",
        "", "", "requests/s", "p50 ms", "p99 ms", "service", "Redis", "all"
    );
    table += "|-----------------------|--------------------|-----------:|-------:|-------:|--------:|-------:|-------:|\n";
    for (workload, name) in WORKLOADS.iter().enumerate() {
        for peer in peers {
            let (service, redis) = peer.costs(workload);
            let [per_second, p50, p99] = peer.rows[workload].speed();
            let all = service + redis;
            let _ = writeln!(
                table,
                "| {name:<21} | {:<18} | {per_second:>10.0} | {p50:>6.2} | {p99:>6.2} | {service:>7.1} | {redis:>6.1} | {all:>6.1} |",
                peer.name,
            );
        }
    }
    report.add_table(&table);
}

fn add_targets(peers: &[Peer], report: &mut Report) {
    let find = |name| peers.iter().find(move |peer| peer.name == name);
    let (Some(ours), Some(fastify)) = (find(OURS), find(FASTIFY)) else {
        return;
    };
    for (workload, target) in [(0, SEND_TARGET), (2, PAGE_TARGET)] {
        let name = format!("{}: all CPU / fastify", WORKLOADS[workload]);
        let ratio = ours.all_cpu(workload) / fastify.all_cpu(workload);
        report.figure(&name, ratio, 2, Some(Target::AtMost(target)));
    }
}

/// Draws the costs of all services as [`CHART`].
fn draw(peers: &[Peer]) -> Outcome<()> {
    let panels = WORKLOADS.iter().enumerate().map(|(workload, title)| {
        let bars = peers.iter().map(|peer| chart::Bar {
            name: peer.name,
            parts: peer.costs(workload).into(),
        });
        chart::Panel {
            title,
            bars: bars.collect(),
        }
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART);
    let title = "Microseconds of CPU for each request";
    std::fs::write(
        file,
        chart::draw(title, ["service", "Redis"], &panels.collect::<Vec<_>>()),
    )?;
    eprintln!("the chart is in {CHART}");
    Ok(())
}
