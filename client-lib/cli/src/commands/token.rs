//! `sso token`: the fast path, a client without a runtime and nothing else.

use std::io::Write as _;

use secrecy::{ExposeSecret as _, zeroize::Zeroizing};
use serde::Serialize;
use sso_agent_client::{
    blocking::Agent,
    proto::token::{Token, TokenGet},
};

use super::resolved;
use crate::{
    args::{self, TokenFormat, Which},
    exit::Failure,
    output::Output,
};

pub(super) fn run(args: args::Token, output: &Output) -> Result<(), Failure> {
    let Which { host, profile, label, account_id } = resolved(args.which);
    let request = TokenGet {
        host,
        profile,
        label,
        account_id,
        min_valid_s: args.min_valid.map(|time| time.as_secs()),
        force_refresh: args.force_refresh,
        scopes: args.scopes,
        ..TokenGet::default()
    };
    let token = Agent::connect()?.token(request)?;
    output.secret(&line(&token, if output.is_json() { TokenFormat::Json } else { args.output }))
}

/// What is printed, in a buffer that does not move while it grows and is wiped at the end.
fn line(token: &Token, format: TokenFormat) -> Zeroizing<Vec<u8>> {
    #[derive(Serialize)]
    struct Json<'a> {
        access_token: &'a str,
        token_type: &'a str,
        expiry: jiff::Timestamp,
    }
    let secret = token.access_token.expose_secret();
    let mut line = Zeroizing::new(Vec::with_capacity(2 * secret.len() + 256));
    let written = match format {
        TokenFormat::Raw => line.write_all(secret.as_bytes()),
        TokenFormat::Header => write!(line, "Authorization: Bearer {secret}"),
        TokenFormat::Json => {
            let json = Json { access_token: secret, token_type: &token.token_type, expiry: token.expires_at };
            serde_json::to_writer(&mut *line, &json).map_err(Into::into)
        }
    };
    written.expect("a buffer takes whatever it is given");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: TokenFormat) -> String {
        let token = Token {
            access_token: "secret".into(),
            token_type: "Bearer".into(),
            token_id: "id".into(),
            expires_at: "2026-01-02T03:04:05Z".parse().unwrap(),
            expires_in_s: 60,
            scopes: Vec::new(),
            session: "s".into(),
        };
        String::from_utf8(line(&token, format).to_vec()).unwrap()
    }

    #[test]
    fn the_formats_are_the_promised_ones() {
        assert_eq!(printed(TokenFormat::Raw), "secret\n");
        assert_eq!(printed(TokenFormat::Header), "Authorization: Bearer secret\n");
        assert_eq!(
            printed(TokenFormat::Json),
            "{\"access_token\":\"secret\",\"token_type\":\"Bearer\",\"expiry\":\"2026-01-02T03:04:05Z\"}\n"
        );
    }
}
