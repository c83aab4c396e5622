//! A server with the API of S3: moto, behind a relay that fails on demand.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// How the server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It closes every connection.
    Refuses,
    /// It takes requests and does not answer.
    Stalls,
}

/// A server with an empty bucket. Killed when dropped.
pub struct S3Server {
    child: Child,
    /// Where the server is, without the relay.
    direct: String,
    relay: u16,
    fault: Arc<AtomicU8>,
}

/// The bucket of the server.
pub const BUCKET: &str = "bucket";

/// How long the server may take to start.
const START: Duration = Duration::from_secs(60);

/// The command of moto: `MOTO_SERVER` if that is set.
fn installed() -> Option<OsString> {
    let name = std::env::var_os("MOTO_SERVER").unwrap_or_else(|| "moto_server".into());
    let help = Command::new(&name).arg("--help").output();
    help.is_ok_and(|output| output.status.success())
        .then_some(name)
}

impl S3Server {
    /// Starts one, or returns `None` so that the test is skipped. `make test-archive` installs it.
    pub async fn start() -> Option<Self> {
        let Some(moto) = installed() else {
            let missing = "there is no moto_server on the PATH, and MOTO_SERVER names none";
            // The test runner captures the output of `eprintln!`.
            let _ = writeln!(std::io::stderr(), "skipped: {missing}");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let child = Command::new(moto)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let fault = Arc::<AtomicU8>::default();
        let this = Self {
            child,
            direct: format!("http://127.0.0.1:{port}"),
            relay: relay_to(port, fault.clone()),
            fault,
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < START, "moto_server does not start");
            sleep(Duration::from_millis(50));
        }
        let bucket = format!("{}/{BUCKET}", this.direct);
        let created = super::client().put(bucket).send().await.unwrap();
        assert!(created.status().is_success(), "{created:?}");
        Some(this)
    }

    /// From now on the server fails in this way.
    pub fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    /// The variables with which the tools of AWS use the server.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        let endpoint = format!("http://127.0.0.1:{}", self.relay);
        [
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// The keys of all objects below a prefix.
    pub async fn list(&self, prefix: &str) -> Vec<String> {
        let url = format!("{}/{BUCKET}?list-type=2&prefix={prefix}", self.direct);
        let listed = super::client().get(url).send().await.unwrap();
        let listed = listed.text().await.unwrap();
        let keys = listed.split("<Key>").skip(1);
        keys.filter_map(|rest| rest.split_once("</Key>"))
            .map(|(key, _)| key.to_owned())
            .collect()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Forwards connections to a port, unless there is a fault. Returns the port of the relay.
fn relay_to(port: u16, fault: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = listener.local_addr().unwrap().port();
    spawn(move || {
        for client in listener.incoming() {
            // The server may have been stopped at the end of the test.
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", port))) else {
                return;
            };
            let [client_too, server_too] = [&client, &server].map(|side| side.try_clone().unwrap());
            let [requests, answers] = [fault.clone(), fault.clone()];
            spawn(move || copy(client, server, &requests));
            spawn(move || copy(server_too, client_too, &answers));
        }
    });
    relay
}

/// Copies until the end, or until the server refuses. While it stalls, nothing is copied.
fn copy(mut from: TcpStream, mut to: TcpStream, fault: &AtomicU8) {
    let has = |wanted: Fault| fault.load(Ordering::Relaxed) == wanted as u8;
    let mut bytes = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        while has(Fault::Stalls) {
            sleep(Duration::from_millis(20));
        }
        if has(Fault::Refuses) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    for side in [from, to] {
        let _ = side.shutdown(Shutdown::Both);
    }
}
