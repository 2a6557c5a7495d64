//! What strangers can send us, as functions of bytes: the bodies of the fuzz targets (`tests/fuzz`), and of
//! the test that goes through their corpora.
//!
//! Each panics when something does not hold that must hold of any input. The rooms keep what they have
//! to say about their own inner things beside those; here is the list, and what can be said from outside.

mod wire;

pub use self::wire::State;

use crate::{config, http, issuer, store, web};

/// A target: what to do with some bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their programs and of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("callback", wire::callback),
    ("config", config::fuzzing::config),
    ("consent", web::fuzzing::consent),
    ("databrickscfg", config::fuzzing::databrickscfg),
    ("discovery", issuer::fuzzing::discovery),
    ("host", wire::host),
    ("http", http::fuzzing::request),
    ("lines", wire::lines),
    ("record", store::fuzzing::record),
    ("request", wire::request),
    ("sealed", store::fuzzing::sealed),
    ("token_answer", issuer::fuzzing::token_answer),
];

/// Runs the target of that name; nothing for a name that is none.
pub fn run(name: &str, bytes: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(known, _)| *known == name) {
        target(bytes);
    }
}
