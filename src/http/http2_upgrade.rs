//! Requests to upgrade to HTTP/2. Clients that prefer HTTP/2 ask for it with every request of a connection.
//! A server may ignore it (RFC 9110 section 7.8), but actix-http would close the connection.

/// Overwrites the `Connection` header of a request with spaces if it asks for HTTP/2 and nothing else.
/// Returns whether it did.
pub fn ignore(bytes: &mut [u8]) -> bool {
    let (mut rest, mut found) = (bytes, false);
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, after) = rest.split_at_mut(end + 1);
        rest = after;
        if line == b"\r\n" {
            break;
        }
        let value = match line.split_at_mut_checked("connection:".len()) {
            Some((name, value)) if name.eq_ignore_ascii_case(b"connection:") => value,
            _ => continue,
        };
        let text = value.trim_ascii().to_ascii_lowercase();
        let options = || text.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if options().any(|option| option == b"http2-settings")
            && options().all(|option| [&b"http2-settings"[..], b"upgrade"].contains(&option))
        {
            let blank = value.len() - 2;
            value[..blank].fill(b' ');
            found = true;
        }
    }
    found
}
