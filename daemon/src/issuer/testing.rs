//! An issuer in twenty lines: hears requests over plain HTTP on loopback and answers as it is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use sso_agent_core::discovery::{Flavor, Metadata};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A server that lives as long as the runtime of its test.
pub(crate) struct Fake {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers each request (its head and body) with what `answer` makes of it, then hangs up.
    pub(crate) async fn new(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        Self::start(move |request| Some(answer(request))).await
    }

    /// Never answers.
    pub(crate) async fn silent() -> Self {
        Self::start(|_| None).await
    }

    /// An address at this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The requests so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Answers what `answer` makes of a request, or keeps it waiting for ever.
    pub(crate) async fn start(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read(&mut stream).await;
                ear.lock().unwrap().push(request.clone());
                match answer(&request) {
                    Some(text) => {
                        // Whoever had enough may be gone before the end.
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    None => kept.push(stream),
                }
            }
        });
        Self { port, heard }
    }
}

/// The text of an answer; each of `headers` ends in a line break.
pub(crate) fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// The text of an answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> String {
    reply(status, "Content-Type: application/json\r\n", body)
}

/// The fields of a form that was sent.
pub(crate) fn form(request: &str) -> BTreeMap<String, String> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Such fields.
pub(crate) fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes);
        if text.starts_with('\u{16}') {
            break; // TLS
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if body.len() >= length.parse().unwrap() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A server that was found at `root`.
pub(crate) fn metadata(root: &str) -> Metadata {
    Metadata {
        issuer: root.to_owned(),
        authorization_endpoint: format!("{root}/authorize"),
        token_endpoint: format!("{root}/token"),
        revocation_endpoint: Some(format!("{root}/revoke")),
        userinfo_endpoint: None,
        iss_parameter_supported: false,
        scopes: None,
        grant_types: None,
        code_challenge_methods: None,
        token_endpoint_auth_methods: None,
        flavor: Flavor::Generic,
    }
}
