//! A minimal web server that serves a JWKS.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// Answers every request with the status and body set last.
pub struct JwksServer {
    pub url: String,
    answer: Arc<Mutex<(u16, String)>>,
}

impl JwksServer {
    pub fn start(keys: &[Value]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let source = Self {
            url,
            answer: Arc::default(),
        };
        source.serve(keys);
        let answer = source.answer.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut lines = BufReader::new(&stream).lines();
                while lines.next().is_some_and(|l| l.is_ok_and(|l| !l.is_empty())) {}
                let (status, body) = answer.lock().unwrap().clone();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\nlocation: /\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        source
    }

    /// Serves a JWKS of these keys from now on.
    pub fn serve(&self, keys: &[Value]) {
        self.answer(200, &json!({"keys": keys}).to_string());
    }

    /// Serves this status and body from now on.
    pub fn answer(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
}
