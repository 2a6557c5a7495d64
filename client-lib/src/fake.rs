//! An agent for tests: a thread behind a real socket, or named pipe, that answers what it is told to.

mod place;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    sync::{Arc, Mutex},
};

pub(crate) use self::place::Place;
use crate::blocking::Agent;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) id: serde_json::Value,
    pub(crate) method: String,
    pub(crate) params: serde_json::Value,
}

impl Asked {
    pub(crate) fn result(&self, result: String) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}\n", self.id)
    }

    pub(crate) fn error(&self, error: &str) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{error}}}\n", self.id)
    }
}

pub(crate) struct Fake {
    place: Place,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// At the end of an answer: the connection is closed after it. So it is after an empty answer.
    pub(crate) const HANG_UP: &str = "\u{4}";

    /// Serves one connection after the other, each until it ends.
    pub(crate) fn answering(mut answer: impl FnMut(&Asked) -> String + Send + 'static) -> Self {
        let place = Place::new();
        let listener = place.listen();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener {
                let Ok(stream) = stream else { return };
                for line in BufReader::new(&stream).lines() {
                    let Ok(line) = line else { break };
                    let mut request: serde_json::Value = serde_json::from_str(&line).unwrap();
                    let method = request["method"].as_str().unwrap_or_default().to_owned();
                    let request =
                        Asked { id: request["id"].take(), method, params: request["params"].take() };
                    seen.lock().unwrap().push(request.clone());
                    let text = answer(&request);
                    let sent = text.strip_suffix(Self::HANG_UP);
                    let failed = (&stream).write_all(sent.unwrap_or(&text).as_bytes()).is_err();
                    if failed || text.is_empty() || sent.is_some() {
                        break;
                    }
                }
            }
        });
        Self { place, asked }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.place.socket.clone()
    }

    pub(crate) fn agent(&self) -> Agent {
        Agent::connect_to(self.socket()).unwrap()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn token(secret: &str, expires_in_s: u64) -> String {
        format!(
            r#"{{"access_token":"{secret}","token_type":"Bearer","token_id":"id-of-{secret}","expires_at":"2026-01-01T00:00:00Z","expires_in_s":{expires_in_s},"scopes":[],"session":"h"}}"#
        )
    }

    pub(crate) fn session(id: &str) -> String {
        format!(
            r#"{{"id":"{id}","host":"https://{id}","label":"","cloud":null,"issuer":"https://{id}","client_id":"c","user":null,"scopes":[],"state":"active","expires_at":null,"next_refresh_at":null,"last_error":null}}"#
        )
    }
}
