//! A browser as far as a sign-in without a page needs one: it follows redirects on this machine.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use url::Url;

/// More than any sign-in has.
const MOST_REDIRECTS: usize = 8;

const WITHIN: Duration = Duration::from_secs(30);

/// Opens `address` and follows where it leads; gives the text of the last page.
///
/// # Errors
/// Where the way leaves plain http, ends in an error page, or nobody answers.
pub fn follow(address: &str) -> io::Result<String> {
    let mut at = Url::parse(address).map_err(io::Error::other)?;
    for _ in 0..MOST_REDIRECTS {
        let reply = get(&at)?;
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
        match (status(head), location(head)) {
            (300..=399, Some(next)) => at = at.join(next).map_err(io::Error::other)?,
            (200..=299, _) => return Ok(body.to_owned()),
            (status, _) => return Err(io::Error::other(format!("the way ended with status {status}"))),
        }
    }
    Err(io::Error::other("the way leads round and round"))
}

fn get(at: &Url) -> io::Result<String> {
    let no_way = || io::Error::other("the way leads off this machine");
    if at.scheme() != "http" {
        return Err(no_way());
    }
    let host = at.host_str().ok_or_else(no_way)?;
    let port = at.port_or_known_default().ok_or_else(no_way)?;
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port))?;
    stream.set_read_timeout(Some(WITHIN))?;
    let path = &at[url::Position::BeforePath..url::Position::AfterQuery];
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

fn location(head: &str) -> Option<&str> {
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, value)| value.trim())
}
