//! What may go wrong: with the provider, the network, the machine or its disk.
//!
//! Left out is what no agent can survive or know: a provider that lies about how long a token lives, and
//! one that forgets the session. Clocks are turned in the simulation of the core, where nobody else's suffers.

use std::time::Duration;

use sso_agent::demo::Fault;

use crate::random::Random;

/// How it is brought about.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// For as long as the trouble lasts.
    Standing(Fault),
    /// At the next request: a provider that loses every answer would lose the session, too.
    Once(Fault),
    /// Nobody answers at the provider's address.
    Offline,
    /// All of the agent's processes stand still.
    Asleep,
    DiskFull,
}

/// The next one, and its name.
pub(super) fn draw(random: &mut Random, with_disk: bool) -> (&'static str, Trouble) {
    let mut all = provider();
    all.extend([("offline", Trouble::Offline), ("asleep", Trouble::Asleep)]);
    if with_disk {
        all.push(("disk full", Trouble::DiskFull));
    }
    let at = usize::try_from(random.below(all.len() as u64)).unwrap_or_default();
    all.swap_remove(at)
}

/// All that a provider does.
pub(super) fn provider() -> Vec<(&'static str, Trouble)> {
    let s = Duration::from_secs;
    let standing = [
        ("slow", Fault::Slow(s(3))),
        ("slow answer", Fault::SlowAnswer(s(3))),
        ("drip", Fault::Drip(Duration::from_millis(1))),
        ("hang", Fault::Hang),
        ("500", status(500, None)),
        ("502", status(502, None)),
        ("503 for 2 s", status(503, Some("2"))),
        ("429 for 2 s", status(429, Some("2"))),
        ("portal", Fault::HtmlOk),
        ("truncated", Fault::Truncated),
        ("empty", Fault::EmptyOk),
        ("no text", Fault::InvalidUtf8),
        ("huge", Fault::HugeBody(16 * 1024 * 1024)),
        ("redirect", Fault::Redirect("http://127.0.0.1:9/".to_owned())),
        ("dropped", Fault::DropBeforeCommit),
        ("no refresh token", Fault::NoRefreshToken),
        ("token type", Fault::WrongTokenType),
    ];
    let once = [("lost answer", Fault::LoseAnswer), ("cut off", Fault::CutOff)];
    let standing = standing.into_iter().map(|(name, fault)| (name, Trouble::Standing(fault)));
    standing.chain(once.into_iter().map(|(name, fault)| (name, Trouble::Once(fault)))).collect()
}

fn status(code: u16, retry_after: Option<&str>) -> Fault {
    Fault::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
        content_type: "text/plain".to_owned(),
        body: "not now".to_owned(),
    }
}
