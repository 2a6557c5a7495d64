//! `databricks auth token`: what SDKs call.
//!
//! The hard part is what they make of a failure: where nobody is signed in they must go on to their next
//! way, which they do for certain words only; where a sign-in has ended they must not.

use std::io::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use secrecy::{ExposeSecret as _, zeroize::Zeroizing};
use serde::Serialize;
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::{
        databrickscfg::Section,
        fault::Kind,
        token::{Token, TokenGet},
    },
};

use crate::{
    args::{Format, Said},
    file::Loaded,
    resolve::{self, Wanted},
    say::{self, Fail},
};

/// SDKs look for `databricks OAuth is not` in it.
const NOT_CONFIGURED: &str = "cache: databricks OAuth is not configured for this host. no cached credentials; run `databricks auth login` to sign in";

/// How long a new token is worth waiting for when a good one is at hand.
const PATIENCE_S: u64 = 10;

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let wanted = resolve::wanted(said, &file, resolve::variable)?;
    if let Some(section) = wanted.section {
        served(section)?;
    }
    let request = TokenGet {
        host: wanted.host.clone(),
        profile: wanted.profile.clone(),
        account_id: wanted.account_id.clone(),
        force_refresh: said.force_refresh,
        wait_s: said.timeout.map(|time| time.as_secs().max(1)),
        ..TokenGet::default()
    };
    let mut agent = Agent::connect().map_err(|error| unreachable(&error))?;
    match new_or_good(&mut agent, request) {
        Ok(token) => say::text(&*printed(&token, said.output, &TimeZone::system())),
        Err(error) => Err(refused(&mut agent, &wanted, error, said)),
    }
}

/// SDKs ask for a new token at every start, and mean no stale one: while none can be had, what is left of
/// a good one serves them.
fn new_or_good(agent: &mut Agent, request: TokenGet) -> Result<Token, Error> {
    if !request.force_refresh {
        return agent.token(request);
    }
    let first =
        TokenGet { wait_s: Some(request.wait_s.unwrap_or(PATIENCE_S).min(PATIENCE_S)), ..request.clone() };
    match agent.token(first) {
        Err(error) if matches!(error.kind(), Some(Kind::IssuerUnavailable | Kind::Timeout)) => {
            agent.token(TokenGet { force_refresh: false, ..request })
        }
        answer => answer,
    }
}

/// Only what a person signed in to is a matter of this command.
fn served(section: &Section) -> Result<(), Fail> {
    if section.has("client_id") && section.has("client_secret") {
        return Err(Fail::new(format!(
            "profile {:?} uses M2M authentication (client_id/client_secret). `databricks auth token` only supports U2M (user-to-machine) authentication tokens. To authenticate as a service principal, use the Databricks SDK directly",
            section.name()
        )));
    }
    match section.auth_type() {
        Ok(auth_type) if auth_type.is_person() => Ok(()),
        _ => Err(Fail::new(NOT_CONFIGURED)),
    }
}

fn refused(agent: &mut Agent, wanted: &Wanted<'_>, error: Error, said: &Said) -> Fail {
    let Some(kind) = error.kind() else { return unreachable(&error) };
    match kind {
        Kind::LoginRequired if is_known(agent, wanted) => {
            let message = format!(
                "A new access token could not be retrieved because the refresh token is invalid. To reauthenticate, run the following command:\n  $ {}",
                wanted.login_command()
            );
            if said.output == Some(Format::Json) {
                let told = serde_json::json!({ "error_code": "UNAUTHENTICATED", "message": message });
                let _ = say::json(&told).and_then(say::text);
            }
            Fail::new(message)
        }
        Kind::LoginRequired | Kind::UnknownHost => Fail::new(NOT_CONFIGURED),
        Kind::Ambiguous => {
            Fail::new(say::clean(&format!("{error}. Use --profile to specify which profile to use")))
        }
        Kind::IssuerUnavailable | Kind::Denied | Kind::Locked | Kind::Timeout | Kind::Cancelled => {
            error.into()
        }
        Kind::IssuerRejected | Kind::Unsupported | Kind::StoreFailed => Fail::new(format!(
            "{}. Try logging in again with `{}` before retrying. If this fails, `sso doctor` says what is wrong",
            say::clean(&error.to_string()),
            wanted.login_command()
        )),
    }
}

/// An agent that is not there has no credentials, and why it is not there helps whoever reads it; one of
/// another version is a failure.
fn unreachable(error: &Error) -> Fail {
    let told = say::clean(&format!("{error}; {}", error.hint()));
    if matches!(error, Error::Unreachable { .. }) {
        Fail::new(format!("{NOT_CONFIGURED}\n{told}"))
    } else {
        Fail::new(told)
    }
}

/// Whether there was a sign-in that has ended. The agent asks for a sign-in where there never was one, too.
fn is_known(agent: &mut Agent, wanted: &Wanted<'_>) -> bool {
    let sessions = agent.sessions().unwrap_or_default();
    match &wanted.host {
        Some(host) => {
            let (account_id, profile) = (wanted.account_id.as_deref(), wanted.profile.as_deref());
            resolve::session_of(&sessions, host, account_id, profile).is_some()
        }
        None => {
            let named =
                |name: &str| sessions.iter().any(|session| resolve::is_label_of(&session.label, name));
            wanted.profile.as_deref().is_some_and(named)
        }
    }
}

/// In a buffer that does not move while it grows and is wiped at the end.
fn printed(token: &Token, output: Option<Format>, zone: &TimeZone) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Json<'a> {
        access_token: &'a str,
        token_type: &'a str,
        expiry: String,
        expires_in: u64,
    }
    let secret = token.access_token.expose_secret();
    let mut text = Zeroizing::new(Vec::with_capacity(2 * secret.len() + 256));
    let written = match output {
        Some(Format::Text) => writeln!(text, "{secret}"),
        Some(Format::Json) | None => {
            let expiry = expiry(token.expires_at, zone);
            let (token_type, expires_in) = (token.token_type.as_str(), token.expires_in_s);
            serde_json::to_writer_pretty(
                &mut *text,
                &Json { access_token: secret, token_type, expiry, expires_in },
            )
            .map_err(Into::into)
        }
    };
    written.expect("a buffer takes whatever it is given");
    text
}

/// The only form that all SDKs read alike: the wall clock of here, a fraction, a numeric offset. Python
/// reads up to the point and takes it for local time; without a fraction it chokes on the offset.
fn expiry(at: Timestamp, zone: &TimeZone) -> String {
    let local = at.to_zoned_datetime(zone.clone());
    let nanoseconds = local.subsec_nanosecond().max(1);
    format!("{}.{nanoseconds:09}{}", local.strftime("%Y-%m-%dT%H:%M:%S"), local.strftime("%:z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            access_token: "secret".into(),
            token_type: "Bearer".into(),
            token_id: "id".into(),
            expires_at: "2026-11-23T16:20:14.123456789Z".parse().unwrap(),
            expires_in_s: 3599,
            scopes: Vec::new(),
            session: "s".into(),
        }
    }

    fn text(output: Option<Format>) -> String {
        String::from_utf8(printed(&token(), output, &TimeZone::UTC).to_vec()).unwrap()
    }

    #[test]
    fn the_end_is_told_by_the_wall_clock_of_here() {
        let at = token().expires_at;
        for (zone, expected) in [
            ("UTC", "2026-11-23T16:20:14.123456789+00:00"),
            ("Asia/Kolkata", "2026-11-23T21:50:14.123456789+05:30"),
            ("America/Los_Angeles", "2026-11-23T08:20:14.123456789-08:00"),
        ] {
            assert_eq!(expiry(at, &TimeZone::get(zone).unwrap()), expected);
        }
        assert_eq!(expiry(Timestamp::UNIX_EPOCH, &TimeZone::UTC), "1970-01-01T00:00:00.000000001+00:00");
    }

    #[test]
    fn json_is_indented_and_ends_without_a_line_ending() {
        let expected = "{\n  \"access_token\": \"secret\",\n  \"token_type\": \"Bearer\",\n  \"expiry\": \"2026-11-23T16:20:14.123456789+00:00\",\n  \"expires_in\": 3599\n}";
        assert_eq!(text(None), expected);
        assert_eq!(text(Some(Format::Json)), expected);
        assert_eq!(text(Some(Format::Text)), "secret\n");
    }

    #[test]
    fn the_words_that_sdks_look_for_are_there() {
        assert!(NOT_CONFIGURED.contains("databricks OAuth is not"));
    }
}
