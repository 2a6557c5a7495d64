//! Just enough HTTP to talk to a server on this machine: one request, one answer, HTTP/1.0.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Such as 200.
    pub status: u16,
    /// Lower-case names, in order.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: String,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request and reads the answer; with a body it is a POST. A `Host` among the headers is sent
/// instead of the right one.
///
/// # Errors
/// Whatever the connection says, or that the answer is no HTTP.
pub fn send(url: &Url, headers: &[(&str, &str)], body: Option<&str>) -> io::Result<Answer> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = TcpStream::connect((host, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let method = if body.is_some() { "POST" } else { "GET" };
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    converse(stream, &request(method, target, &format!("{host}:{port}"), headers, body))
}

/// Sends a request to a Unix socket, as for `localhost`, and reads the answer.
///
/// # Errors
/// As of [`send`].
#[cfg(unix)]
pub fn send_to(
    socket: &std::path::Path,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> io::Result<Answer> {
    let stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(stream, &request(method, target, "localhost", headers, body))
}

fn request(method: &str, target: &str, host: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
    let mut request = format!("{method} {target} HTTP/1.0\r\n");
    if headers.iter().all(|(name, _)| *name != "Host") {
        request += &format!("Host: {host}\r\n");
    }
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    if let Some(body) = body {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request + "\r\n" + body.unwrap_or_default()
}

fn converse(mut stream: impl Read + Write, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("that is no HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Answer { status, headers, body: body.to_owned() })
}
