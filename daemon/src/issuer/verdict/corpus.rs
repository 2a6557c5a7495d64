//! Answers as servers, proxies and portals give them (`issuer/corpus`), each with what is to be made of it: a
//! file of raw answers, sent byte for byte over a connection, through all that an exchange goes through.

use std::{fs, path::Path, time::Duration};

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use sso_agent_core::host::Host;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::issuer::{DiscoverError, Http, Sought, find, refresh, testing::metadata, token::Client};

/// One answer. What is missing, or not known, fails the test.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    what: String,
    expect: String,
    /// Status line, headers, an empty line, the body.
    raw: String,
    encoding: Option<Encoding>,
    /// How often the body comes.
    #[serde(default = "once")]
    times: usize,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Encoding {
    Utf8Mark,
    Utf16,
    Latin1,
    /// Four mebibytes that would be a lot more.
    GzipBomb,
}

#[derive(Deserialize)]
struct Corpus {
    answer: Vec<Entry>,
}

fn once() -> usize {
    1
}

impl Entry {
    fn bytes(&self, root: &str) -> Vec<u8> {
        let (head, body) = self.raw.split_once("\n\n").expect("an empty line ends the head");
        let mut bytes = format!("{}\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n")).into_bytes();
        let body = body.replace("{root}", root).repeat(self.times);
        match self.encoding {
            None => bytes.extend(body.bytes()),
            Some(Encoding::Utf8Mark) => bytes.extend(b"\xef\xbb\xbf".iter().copied().chain(body.bytes())),
            Some(Encoding::Utf16) => {
                let units = std::iter::once(0xfeff).chain(body.encode_utf16());
                bytes.extend(units.flat_map(u16::to_le_bytes));
            }
            Some(Encoding::Latin1) => bytes.extend(body.chars().map(|c| u8::try_from(u32::from(c)).unwrap())),
            Some(Encoding::GzipBomb) => {
                bytes.extend(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03");
                bytes.extend([0].repeat(4 << 20));
            }
        }
        bytes
    }
}

fn entries(folder: &str) -> Vec<(String, Entry)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/issuer/corpus").join(folder);
    let mut all = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "toml") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let corpus: Corpus = toml::from_str(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all.extend(corpus.answer.into_iter().map(|entry| (format!("{name}: {}", entry.what), entry)));
        }
    }
    all
}

/// Answers every request with the same bytes.
async fn server(answer: impl FnOnce(&str) -> Vec<u8>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let bytes = answer(&root);
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                heard.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&heard);
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap_or("0").parse().unwrap() {
                    break;
                }
            }
            // Whoever had enough may be gone before the end.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut buffer).await;
        }
    });
    (root, serving)
}

fn in_words(outcome: Outcome) -> String {
    let kept = |token: &Option<SecretString>| {
        token.as_ref().map(|token| format!(" keep {}", token.expose_secret())).unwrap_or_default()
    };
    match outcome {
        Outcome::Granted(grant) => {
            let life = grant.expires_in.map(|life| format!(" for {}", life.as_secs())).unwrap_or_default();
            format!("granted{life}{}", kept(&grant.refresh_token))
        }
        Outcome::Rejected(error) => format!("rejected {}", error.error),
        Outcome::Refused(error) => format!("refused {}", error.error),
        Outcome::Unreachable(Unreachable { sent, salvaged, retry_after, .. }) => {
            let sent = match sent {
                Sent::No => "not sent",
                Sent::Maybe => "maybe",
                Sent::Answered => "answered",
            };
            format!("{sent}{}{}", kept(&salvaged), wait(retry_after))
        }
    }
}

fn wait(retry_after: Option<Duration>) -> String {
    retry_after.map(|wait| format!(" wait {}", wait.as_secs())).unwrap_or_default()
}

fn client() -> Client {
    Client { id: "c".to_owned(), secret: None }
}

// Fault 06: and 4, 5, 7, 8, 9, 10, 11, 12, each in every form that is known.
#[tokio::test]
async fn f06_every_answer_of_a_token_endpoint_is_judged_as_the_corpus_says() {
    let all = entries("");
    assert!(all.len() >= 150, "{}", all.len());
    let mut wrong = Vec::new();
    for (name, entry) in &all {
        let (root, serving) = server(|root| entry.bytes(root)).await;
        let outcome = refresh(&Http::new(), &metadata(&root), &client(), &"r1".into(), &[], None).await;
        serving.abort();
        let ends = matches!(outcome, Outcome::Rejected(_));
        let found = in_words(outcome);
        // An answer that cannot be read at all is one that may have been a grant.
        let expected = if entry.expect == "no answer" { "maybe" } else { &entry.expect };
        if found != expected {
            wrong.push(format!("{name}: {found}, not {expected}"));
        }
        assert!(!ends || entry.expect.starts_with("rejected "), "{name} ended a session");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_answer_to_a_discovery_is_taken_as_the_corpus_says() {
    let mut wrong = Vec::new();
    for (name, entry) in entries("discovery") {
        let (root, serving) = server(|root| entry.bytes(root)).await;
        let host = Host::parse(&root, None).unwrap();
        let found = match find(&Http::new(), &Sought::at(&host)).await {
            Ok(_) => "found".to_owned(),
            Err(DiscoverError::Unreachable { retry_after, .. }) => format!("later{}", wait(retry_after)),
            Err(DiscoverError::NotOAuth { .. }) => "no sign-in".to_owned(),
            Err(DiscoverError::Refused(_)) => "refused".to_owned(),
        };
        serving.abort();
        if found != entry.expect {
            wrong.push(format!("{name}: {found}, not {}", entry.expect));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
