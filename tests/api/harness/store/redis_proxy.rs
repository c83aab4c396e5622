//! What stands between a service and its Redis, and fails when it is told to.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use tempfile::TempDir;

use crate::harness::store::redis_server::RedisServer;

/// A unix socket behind which there is a Redis.
pub struct RedisProxy {
    dir: TempDir,
    wires: Arc<Wires>,
}

/// The connections through it.
#[derive(Default)]
struct Wires {
    /// Whether nobody gets through.
    cut: AtomicBool,
    ended: AtomicBool,
    open: Mutex<Vec<Arc<Wire>>>,
}

struct Wire {
    near: UnixStream,
    far: UnixStream,
    /// Whether it was used to subscribe.
    listens: AtomicBool,
    /// Whether what Redis says on it gets lost.
    deaf: AtomicBool,
}

impl RedisProxy {
    pub fn to(redis: &RedisServer) -> Self {
        let (dir, wires) = (tempfile::tempdir().unwrap(), Arc::<Wires>::default());
        let listener = UnixListener::bind(dir.path().join("relay.sock")).unwrap();
        let (target, accepted) = (redis.socket(), wires.clone());
        spawn(move || {
            for near in listener.incoming() {
                if accepted.ended.load(Ordering::Relaxed) {
                    return;
                }
                accepted.connect(near.unwrap(), &target);
            }
        });
        Self { dir, wires }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("relay.sock")
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Ends every connection and lets none through.
    pub fn cut(&self) {
        self.wires.cut.store(true, Ordering::Relaxed);
        self.wires.end();
    }

    /// Lets connections through again.
    pub fn unblock(&self) {
        self.wires.cut.store(false, Ordering::Relaxed);
    }

    /// From now on what Redis says gets lost on the connections that are open and listen; those
    /// that are opened afterwards are as good as new. Answers how many were not deaf before.
    pub fn drop_pubsub(&self) -> usize {
        let open = self.wires.open.lock().unwrap();
        let listening = open.iter().filter(|w| w.listens.load(Ordering::Relaxed));
        listening
            .filter(|wire| !wire.deaf.swap(true, Ordering::Relaxed))
            .count()
    }
}

impl Drop for RedisProxy {
    fn drop(&mut self) {
        self.wires.ended.store(true, Ordering::Relaxed);
        self.wires.end();
        // Wakes whoever accepts.
        let _ = UnixStream::connect(self.socket());
    }
}

impl Wires {
    fn connect(&self, near: UnixStream, target: &Path) {
        // Dropped, and so closed, if nobody is to get through or Redis is not there.
        if self.cut.load(Ordering::Relaxed) {
            return;
        }
        let Ok(far) = UnixStream::connect(target) else {
            return;
        };
        let wire = Arc::new(Wire {
            near,
            far,
            listens: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        });
        self.open.lock().unwrap().push(wire.clone());
        let there = wire.clone();
        spawn(move || {
            there.carry(&there.near, &there.far, |wire, bytes| {
                if bytes.windows(9).any(|word| word == b"SUBSCRIBE") {
                    wire.listens.store(true, Ordering::Relaxed);
                }
                true
            });
        });
        spawn(move || {
            wire.carry(&wire.far, &wire.near, |wire, _| {
                !wire.deaf.load(Ordering::Relaxed)
            });
        });
    }

    fn end(&self) {
        for wire in self.open.lock().unwrap().drain(..) {
            wire.end();
        }
    }
}

impl Wire {
    /// Carries bytes one way, those that `pass`.
    fn carry(&self, mut from: &UnixStream, mut to: &UnixStream, pass: fn(&Self, &[u8]) -> bool) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if pass(self, &bytes[..read]) && to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        self.end();
    }

    fn end(&self) {
        let _ = self.near.shutdown(Shutdown::Both);
        let _ = self.far.shutdown(Shutdown::Both);
    }
}
