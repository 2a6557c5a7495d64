//! The floor of an agent: reads a line of JSON, answers one of a given size, keeps nothing.
//!
//! It does what any server must that speaks this protocol on one thread: accept, read, parse, write
//! JSON, send. `sso-bench-echo SOCKET LENGTH` answers with a token of so many bytes.

use std::{io, sync::Arc};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

#[derive(Deserialize)]
struct Request<'a> {
    id: u64,
    #[serde(borrow)]
    method: &'a str,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    host: Option<&'a str>,
}

#[derive(Serialize)]
struct Reply<'a> {
    jsonrpc: &'a str,
    id: u64,
    result: Granted<'a>,
}

#[derive(Serialize)]
struct Granted<'a> {
    access_token: &'a str,
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let socket = args.next().unwrap_or_default();
    let length = args.next().and_then(|length| length.parse().ok()).unwrap_or_default();
    let token = Arc::<str>::from("x".repeat(length));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = UnixListener::bind(socket)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream, token.clone()));
        }
    })
}

async fn serve(mut stream: UnixStream, token: Arc<str>) -> io::Result<()> {
    let (mut pending, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        pending.extend_from_slice(&chunk[..read]);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            stream.write_all(&answer(&pending[..end], &token)?).await?;
            pending.drain(..=end);
        }
    }
}

fn answer(line: &[u8], token: &str) -> serde_json::Result<Vec<u8>> {
    let Request { id, method, params } = serde_json::from_slice(line)?;
    std::hint::black_box((method, params.host));
    let mut reply = Vec::with_capacity(4096);
    serde_json::to_writer(
        &mut reply,
        &Reply { jsonrpc: "2.0", id, result: Granted { access_token: token } },
    )?;
    reply.push(b'\n');
    Ok(reply)
}
