//! `sso app create`: the one command that prints a client secret, once.

use std::io::Write as _;

use secrecy::{ExposeSecret as _, zeroize::Zeroizing};
use sso_agent_client::{
    blocking::Agent,
    proto::app::{AppCall, AppCreate, AppCreated},
};

use super::{account, ask, policy};
use crate::{
    args::app::Create,
    exit::Failure,
    output::{self, Output, clean},
};

/// More than the ids and the secret of any app.
const ROOM: usize = 16 * 1024;

pub(super) fn run(args: Create, output: &Output) -> Result<(), Failure> {
    let policy = policy(args.policy)?;
    let wish = AppCreate {
        name: args.name.clone(),
        redirect_urls: args.redirect_urls,
        confidential: if args.confidential { Some(true) } else { None },
        scopes: args.scopes,
        user_authorized_scopes: args.user_authorized_scopes,
        token_access_policy: policy,
        keep: args.keep,
        ..AppCreate::default()
    };
    let wish = wish.at(account(args.at, output)?);
    output.progress("Creating the app …");
    let created: AppCreated = ask(&mut Agent::connect()?, AppCall::Create(wish))?;
    if created.client_secret.is_some() && output::is_seen() {
        output.note("The secret is shown this once and can be had nowhere again: put it where it is safe");
    }
    let printed = output.secret(&if output.is_json() { json(&created) } else { words(&args.name, &created) });
    match printed {
        Err(_) if created.client_secret.is_some() => Err(unseen(&created)),
        printed => printed,
    }
}

/// Whoever closed stdout has lost the secret.
fn unseen(created: &AppCreated) -> Failure {
    let id = clean(&created.integration_id);
    Failure::failed(
        format!("the app was created and its secret could not be printed (integration id {id})"),
        format!("delete it and create it again: sso app delete {id}"),
    )
}

/// In a buffer that does not move while it grows and is wiped at the end.
fn json(created: &AppCreated) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer_pretty(&mut *text, created).expect("a buffer takes whatever it is given");
    text.push(b'\n');
    text
}

fn words(name: &str, created: &AppCreated) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(ROOM));
    let name = clean(name);
    let (id, client) = (clean(&created.integration_id), clean(&created.client_id));
    let written =
        writeln!(text, "Created {name}\nintegration id: {id}\nclient id: {client}").and_then(|()| {
            match &created.client_secret {
                Some(secret) => writeln!(text, "client secret: {}", secret.expose_secret()),
                None if created.kept => writeln!(
                    text,
                    "The agent keeps its client under that name: a web app says {:?} to `consent.start`",
                    serde_json::json!({ "app": name }).to_string()
                ),
                None => Ok(()),
            }
        });
    written.expect("a buffer takes whatever it is given");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(secret: Option<&str>, kept: bool) -> AppCreated {
        AppCreated {
            integration_id: "i-1".into(),
            client_id: "c-1".into(),
            client_secret: secret.map(Into::into),
            kept,
        }
    }

    fn said(created: &AppCreated) -> (String, String) {
        let text = |bytes: Zeroizing<Vec<u8>>| String::from_utf8(bytes.to_vec()).unwrap();
        (text(words("a\x1bpp", created)), text(json(created)))
    }

    #[test]
    fn a_secret_is_printed_and_one_that_is_kept_is_not_there() {
        let (words, json) = said(&created(Some("dose"), false));
        assert_eq!(words, "Created a pp\nintegration id: i-1\nclient id: c-1\nclient secret: dose\n");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"integration_id": "i-1", "client_id": "c-1", "client_secret": "dose"})
        );
        let (words, json) = said(&created(None, true));
        assert!(words.contains("`consent.start`") && !words.contains("secret"), "{words}");
        assert!(json.contains("\"kept\": true"), "{json}");
    }
}
