//! A TCP relay in front of a Redis that loses the reply of a call.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::spawn;

/// Forwards every connection to a server.
pub struct Relay {
    pub port: u16,
    /// Whether the next call of the script loses its reply.
    loses: Arc<AtomicBool>,
}

impl Relay {
    pub fn to(port: u16, script: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let loses = Arc::<AtomicBool>::default();
        let this = Self {
            port: listener.local_addr().unwrap().port(),
            loses: loses.clone(),
        };
        spawn(move || {
            for client in listener.incoming() {
                // The server may have been stopped at the end of the test.
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    return;
                };
                forward(client.unwrap(), server, script, &loses);
            }
        });
        this
    }

    /// The next call of the script is run, and its connection is cut before the reply.
    pub fn lose_next_reply(&self) {
        self.loses.store(true, Ordering::Release);
    }

    /// Whether a reply was lost since.
    pub fn has_lost(&self) -> bool {
        !self.loses.load(Ordering::Acquire)
    }
}

fn forward(client: TcpStream, server: TcpStream, script: &'static str, loses: &Arc<AtomicBool>) {
    let is_cut = Arc::<AtomicBool>::default();
    let (loses, cuts) = (loses.clone(), is_cut.clone());
    let [client_too, server_too] = [&client, &server].map(|side| side.try_clone().unwrap());
    spawn(move || {
        copy(client, server, |sent| {
            let has = |text: &[u8]| sent.windows(text.len()).any(|part| part == text);
            // Not when its function is loaded.
            let calls = has(b"FCALL") && has(script.as_bytes());
            if calls && loses.swap(false, Ordering::AcqRel) {
                cuts.store(true, Ordering::Release);
            }
            true
        });
    });
    spawn(move || copy(server_too, client_too, |_| !is_cut.load(Ordering::Acquire)));
}

/// Copies until the end, or until `passes` refuses some bytes.
fn copy(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !passes(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    for side in [from, to] {
        let _ = side.shutdown(Shutdown::Both);
    }
}
