//! The socket, as a tool without any library uses it: a line out, a line back.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longer than any wait a request may ask for here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
    last: u64,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The connection's.
    pub fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), last: 0 })
    }

    /// Asks, and gives the result or the error object.
    ///
    /// # Errors
    /// The connection's; its end before the reply is `UnexpectedEof`.
    pub fn call(&mut self, method: &str, params: &Value) -> io::Result<Result<Value, Value>> {
        self.last += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        self.reply()
    }

    /// Asks, and gives the first message that comes.
    ///
    /// # Errors
    /// As of [`notice`](Self::notice).
    pub fn begin(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        self.last += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        self.notice()
    }

    /// The next message that nobody asked for.
    ///
    /// # Errors
    /// The connection's; its end is `UnexpectedEof`.
    pub fn notice(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    fn reply(&mut self) -> io::Result<Result<Value, Value>> {
        let mut reply = String::new();
        if self.stream.read_line(&mut reply)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut reply: Value = serde_json::from_str(&reply).map_err(io::Error::other)?;
        Ok(match reply.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => Err(reply["error"].take()),
        })
    }

    /// Asks the same `times` over without waiting in between; the answers come in no order.
    ///
    /// # Errors
    /// As of [`call`](Self::call).
    pub fn call_many(
        &mut self,
        method: &str,
        params: &Value,
        times: usize,
    ) -> io::Result<Vec<Result<Value, Value>>> {
        let mut requests = String::new();
        for _ in 0..times {
            self.last += 1;
            let request = json!({"jsonrpc": "2.0", "id": self.last, "method": method, "params": params});
            requests += &format!("{request}\n");
        }
        self.stream.get_mut().write_all(requests.as_bytes())?;
        (0..times).map(|_| self.reply()).collect()
    }
}
