//! A proxy between a service and its Redis that fails on demand.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::store::redis_server::RedisServer;

/// A unix socket that forwards to a Redis.
pub struct RedisProxy {
    dir: TempDir,
    connections: Arc<Connections>,
}

/// The connections of a proxy.
#[derive(Default)]
struct Connections {
    /// Whether all connections are refused.
    blocked: AtomicBool,
    /// Milliseconds by which each reply of Redis is delayed.
    delay_ms: AtomicU64,
    stopped: AtomicBool,
    open: Mutex<Vec<Arc<Connection>>>,
}

struct Connection {
    client: UnixStream,
    redis: UnixStream,
    /// Whether the client has subscribed on it.
    subscribed: AtomicBool,
    /// Whether data from Redis is dropped.
    silenced: AtomicBool,
}

impl RedisProxy {
    pub fn to(redis: &RedisServer) -> Self {
        let (dir, connections) = (tempfile::tempdir().unwrap(), Arc::<Connections>::default());
        let listener = UnixListener::bind(dir.path().join("proxy.sock")).unwrap();
        let (target, accepted) = (redis.socket(), connections.clone());
        spawn(move || {
            for client in listener.incoming() {
                if accepted.stopped.load(Ordering::Relaxed) {
                    return;
                }
                accepted.connect(client.unwrap(), &target);
            }
        });
        Self { dir, connections }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("proxy.sock")
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Closes every connection and refuses new ones.
    pub fn block(&self) {
        self.connections.blocked.store(true, Ordering::Relaxed);
        self.connections.close();
    }

    /// Accepts connections again.
    pub fn unblock(&self) {
        self.connections.blocked.store(false, Ordering::Relaxed);
    }

    /// Delays each reply of Redis from now on, also on open connections.
    pub fn set_delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap();
        self.connections.delay_ms.store(delay, Ordering::Relaxed);
    }

    /// Drops everything Redis sends on the subscribed connections that are open now; later
    /// connections work. Returns how many connections this is new for.
    pub fn drop_pubsub(&self) -> usize {
        let open = self.connections.open.lock().unwrap();
        let subscribed = open.iter().filter(|c| c.subscribed.load(Ordering::Relaxed));
        subscribed
            .filter(|connection| !connection.silenced.swap(true, Ordering::Relaxed))
            .count()
    }
}

impl Drop for RedisProxy {
    fn drop(&mut self) {
        self.connections.stopped.store(true, Ordering::Relaxed);
        self.connections.close();
        // Wakes the accepting thread.
        let _ = UnixStream::connect(self.socket());
    }
}

impl Connections {
    fn connect(self: &Arc<Self>, client: UnixStream, target: &Path) {
        // Returning drops the connection, which closes it.
        if self.blocked.load(Ordering::Relaxed) {
            return;
        }
        let Ok(redis) = UnixStream::connect(target) else {
            return;
        };
        let connection = Arc::new(Connection {
            client,
            redis,
            subscribed: AtomicBool::new(false),
            silenced: AtomicBool::new(false),
        });
        self.open.lock().unwrap().push(connection.clone());
        let requests = connection.clone();
        spawn(move || {
            requests.forward(&requests.client, &requests.redis, |connection, bytes| {
                if bytes.windows(15).any(|word| word == b"$10\r\nSSUBSCRIBE") {
                    connection.subscribed.store(true, Ordering::Relaxed);
                }
                true
            });
        });
        let connections = self.clone();
        spawn(move || {
            connection.forward(&connection.redis, &connection.client, |connection, _| {
                let delay = connections.delay_ms.load(Ordering::Relaxed);
                sleep(Duration::from_millis(delay));
                !connection.silenced.load(Ordering::Relaxed)
            });
        });
    }

    fn close(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            connection.close();
        }
    }
}

impl Connection {
    /// Forwards bytes in one direction if `allow` permits it.
    fn forward(
        &self,
        mut from: &UnixStream,
        mut to: &UnixStream,
        allow: impl Fn(&Self, &[u8]) -> bool,
    ) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if allow(self, &bytes[..read]) && to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        self.close();
    }

    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.redis.shutdown(Shutdown::Both);
    }
}
