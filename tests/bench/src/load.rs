//! Clients that ask for tokens: one after the other, or many at once.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::spread::p50_p99;

/// Whether a client keeps its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Kept,
    NewEachTime,
}

/// One request, newline included.
pub(crate) fn token_get(host: &str, more: &Value) -> Vec<u8> {
    let mut params = json!({ "host": host });
    for (name, value) in more.as_object().into_iter().flatten() {
        params[name] = value.clone();
    }
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "token.get", "params": params });
    format!("{request}\n").into_bytes()
}

/// The same over HTTP.
pub(crate) fn http_get(host: &str) -> Vec<u8> {
    format!("GET /v1/token.get?host={host} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n").into_bytes()
}

/// Asks once over HTTP: how long the body of the answer is.
pub(crate) fn length_of_body(socket: &Path, request: &[u8]) -> Result<usize> {
    let mut reply = vec![0; 64 * 1024];
    let length = exchange(&mut UnixStream::connect(socket)?, request, &mut reply)?;
    ensure!(is_granted(&reply[..length]), "there is no token");
    let head = head_of(&reply[..length]).ok_or_else(|| anyhow::anyhow!("that is no HTTP"))?;
    Ok(length - head)
}

/// Asks once, and reads the answer.
pub(crate) fn ask(socket: &Path, request: &[u8]) -> Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(request)?;
    let mut reply = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut reply)?;
    Ok(serde_json::from_slice(&reply)?)
}

/// The token in an answer.
pub(crate) fn token(reply: &Value) -> Result<&str> {
    let token = reply["result"]["access_token"].as_str();
    token.ok_or_else(|| anyhow::anyhow!("there is no token: {}", reply["error"]))
}

fn exchange(stream: &mut UnixStream, request: &[u8], reply: &mut [u8]) -> io::Result<usize> {
    stream.write_all(request)?;
    let mut length = 0;
    while !is_whole(&reply[..length]) {
        match stream.read(&mut reply[length..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    Ok(length)
}

/// The median and the 99th percentile of `count` requests one after the other, in microseconds.
/// Each is drawn from `requests`, the same ones every time.
pub(crate) fn in_turn(
    socket: &Path,
    requests: &[Vec<u8>],
    connection: Connection,
    count: usize,
) -> Result<(f64, f64)> {
    let mut took = Vec::with_capacity(count);
    let mut reply = vec![0; 64 * 1024];
    let mut stream = UnixStream::connect(socket)?;
    let mut draw = 1_u64;
    for _ in 0..count {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let request = &requests[(draw >> 33) as usize % requests.len()];
        let start = Instant::now();
        if connection == Connection::NewEachTime {
            stream = UnixStream::connect(socket)?;
        }
        let length = exchange(&mut stream, request, &mut reply)?;
        took.push(start.elapsed().as_nanos() as f64 / 1000.0);
        ensure!(is_granted(&reply[..length]), "a request got no token");
    }
    Ok(p50_p99(took))
}

/// A line, or a head and as many bytes as it says.
fn is_whole(reply: &[u8]) -> bool {
    if !reply.starts_with(b"HTTP/") {
        return reply.ends_with(b"\n");
    }
    let Some(head) = head_of(reply) else { return false };
    let name = b"content-length: ";
    let value =
        reply[..head].windows(name.len()).position(|part| part == name).map(|at| &reply[at + name.len()..]);
    let digits = value.into_iter().flatten().take_while(|byte| byte.is_ascii_digit());
    reply.len() - head >= digits.fold(0, |length, digit| 10 * length + usize::from(digit - b'0'))
}

/// The length of the head of an HTTP message.
fn head_of(reply: &[u8]) -> Option<usize> {
    reply.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4)
}

/// Errors are short, tokens are not.
fn is_granted(reply: &[u8]) -> bool {
    if reply.starts_with(b"HTTP/") {
        return reply.starts_with(b"HTTP/1.1 200 ");
    }
    let head = &reply[..reply.len().min(64)];
    head.windows(8).any(|word| word == b"\"result\"")
}

/// How many requests a second `clients` get answered who ask as fast as they can.
pub(crate) fn flat_out(
    socket: &Path,
    request: &[u8],
    connection: Connection,
    clients: usize,
    time: Duration,
) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = Instant::now() + time;
        let mut running = JoinSet::new();
        for _ in 0..clients {
            running.spawn(ask_until(end, socket.to_owned(), request.to_owned(), connection));
        }
        let mut answered = 0;
        while let Some(client) = running.join_next().await {
            answered += client??;
        }
        Ok(answered as f64 / time.as_secs_f64())
    })
}

async fn ask_until(
    end: Instant,
    socket: std::path::PathBuf,
    request: Vec<u8>,
    connection: Connection,
) -> io::Result<u64> {
    let mut answered = 0;
    let mut reply = vec![0; 8 * 1024];
    let mut stream = tokio::net::UnixStream::connect(&socket).await?;
    while Instant::now() < end {
        if connection == Connection::NewEachTime {
            stream = tokio::net::UnixStream::connect(&socket).await?;
        }
        stream.write_all(&request).await?;
        read_reply(&mut stream, &mut reply).await?;
        answered += 1;
    }
    Ok(answered)
}

async fn read_reply(stream: &mut tokio::net::UnixStream, reply: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while !is_whole(&reply[..length]) {
        match stream.read(&mut reply[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
    }
    Ok(length)
}

/// What a herd was told, and when.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) granted: usize,
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

/// Sends `request` from as many connections as there are, then calls `begin`, and waits for all answers.
pub(crate) fn at_once(
    herd: Vec<UnixStream>,
    request: &[u8],
    begin: impl FnOnce() -> Result<()>,
) -> Result<Told> {
    for mut client in &herd {
        client.write_all(request)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut waiting = JoinSet::new();
        let mut told = Told { granted: 0, first: Duration::MAX, last: Duration::ZERO };
        let start = Instant::now();
        for client in herd {
            client.set_nonblocking(true)?;
            let mut stream = tokio::net::UnixStream::from_std(client)?;
            waiting.spawn(async move {
                let mut reply = vec![0; 8 * 1024];
                let length = read_reply(&mut stream, &mut reply).await?;
                io::Result::Ok((is_granted(&reply[..length]), start.elapsed()))
            });
        }
        tokio::task::yield_now().await;
        let late = start.elapsed();
        begin()?;
        while let Some(client) = waiting.join_next().await {
            let (granted, at) = client??;
            told.granted += usize::from(granted);
            told.first = told.first.min(at.saturating_sub(late));
            told.last = told.last.max(at.saturating_sub(late));
        }
        Ok(told)
    })
}
