//! A reverse proxy that serves a service under a path, as nginx with `location /chat/` does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// The path of the service at the proxy.
const PREFIX: &str = "/chat";

/// Starts a proxy of the service at `address` and returns the URL of the service at it. Its thread ends with
/// the test process.
pub fn start(address: &str) -> String {
    let service = address.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}{PREFIX}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let service = service.clone();
            thread::spawn(move || client.and_then(|client| forward(client, &service)));
        }
    });
    url
}

/// Forwards one request without the prefix, and then both directions until they end.
fn forward(mut client: TcpStream, service: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let (line, headers) = head.split_once("\r\n").unwrap_or_default();
    let line = line.replacen(PREFIX, "", 1);
    // One request per connection, because later heads are not read. A WebSocket keeps its header.
    let headers = headers.replace("Connection: keep-alive", "Connection: close");
    let mut upstream = TcpStream::connect(service)?;
    upstream.write_all(format!("{line}\r\n{headers}").as_bytes())?;
    let (mut from_client, mut to_service) = (client.try_clone()?, upstream.try_clone()?);
    thread::spawn(move || io::copy(&mut from_client, &mut to_service));
    io::copy(&mut upstream, &mut client)?;
    client.shutdown(Shutdown::Both)
}
