//! WebSockets written byte by byte, for frames that no library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::harness::TestApp;

/// How long anything may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Headers of a handshake.
pub const HANDSHAKE: &str = "connection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Opens a WebSocket with a small receive buffer and reads only the response head.
pub async fn connect_raw(app: &TestApp, user: &str) -> TcpStream {
    let address = app.address.trim_start_matches("http://").parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = format!("GET /ws?user={user} HTTP/1.1\r\nhost: localhost\r\n{HANDSHAKE}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// How a connection ended.
#[derive(Debug)]
pub struct End {
    /// The code of the close frame; 1005 if it has none, 1006 if there was no close frame.
    pub code: u16,
    /// From the close frame to the end of the TCP connection.
    pub tcp: Duration,
}

/// A frame with a mask of zeros, which leaves the payload as it is.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

/// The header of a frame that declares a length.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..126 => header.push(0x80 | u8::try_from(length).unwrap()),
        126..65536 => {
            header.push(0xfe);
            header.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            header.push(0xff);
            header.extend_from_slice(&length.to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}

/// Reads the next frame of the service: its first byte and its payload.
pub async fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let length = match stream.read_u8().await? {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await?;
    Ok((first, payload))
}

/// Reads the next text of the service.
pub async fn read_text(stream: &mut TcpStream) -> Vec<u8> {
    loop {
        match read_frame(stream).await.unwrap() {
            (0x81, text) => return text,
            (first, payload) => assert_eq!((first, payload), (0x89, vec![]), "a heartbeat"),
        }
    }
}

/// Reads until the service has closed the WebSocket and then the TCP connection.
pub async fn read_end(stream: &mut TcpStream) -> End {
    let reading = async {
        let code = loop {
            match read_frame(stream).await {
                Ok((0x88, payload)) if payload.len() < 2 => break 1005,
                Ok((0x88, payload)) => break u16::from_be_bytes([payload[0], payload[1]]),
                Ok(_) => (),
                Err(_) => break 1006,
            }
        };
        let closed = Instant::now();
        // An error is an end as well.
        let _ = stream.read_u8().await;
        End {
            code,
            tcp: closed.elapsed(),
        }
    };
    timeout(TIMEOUT, reading).await.expect("the end")
}
