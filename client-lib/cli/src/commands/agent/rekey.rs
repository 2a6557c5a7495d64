//! `sso agent rekey`: everything that is stored moves to another key.

use std::io::{self, IsTerminal as _};

use secrecy::{ExposeSecret as _, SecretString};
use sso_agent_client::{
    blocking::Agent,
    proto::agent::{Key, Rekey, Rekeyed},
};

use crate::{
    args::KeyPlace,
    commands::secrets,
    exit::Failure,
    output::{Output, clean},
};

pub(super) fn rekey(to: KeyPlace, output: &Output) -> Result<(), Failure> {
    let (to, passphrase) = match to {
        KeyPlace::Keyring => (Key::Keyring, None),
        KeyPlace::File => (Key::File, None),
        KeyPlace::Credential => (Key::Credential, None),
        KeyPlace::Passphrase => (Key::Passphrase, Some(new_passphrase(output)?)),
    };
    let mut agent = Agent::connect()?;
    let sessions = agent.info()?.sessions;
    output.progress(&format!("Sealing {sessions} sessions anew…"));
    let rekeyed = agent.rekey(Rekey { to, passphrase })?;
    output.result(&rekeyed, || words(&rekeyed))
}

/// Typed twice, since nobody sees it; once where no person is.
fn new_passphrase(output: &Output) -> Result<SecretString, Failure> {
    let passphrase = secrets::typed("passphrase", "New passphrase: ", output)?;
    if io::stdin().is_terminal() {
        let again = secrets::typed("passphrase", "Once more: ", output)?;
        if again.expose_secret() != passphrase.expose_secret() {
            return Err(Failure::usage("the two passphrases differ", "nothing was changed: try again"));
        }
    }
    Ok(passphrase)
}

fn words(rekeyed: &Rekeyed) -> String {
    let Rekeyed { key, sessions, apps, left } = rekeyed;
    let place = match key {
        Key::Keyring => "in the keyring",
        Key::File => "in a file beside the sessions",
        Key::Credential => "a systemd credential",
        Key::Passphrase => "in a file that your passphrase opens",
        Key::None => "nowhere",
    };
    let mut text = format!("The key is {place}; {sessions} sessions and {apps} apps are sealed with it");
    for what in left {
        text.push_str(&format!("\nLeft as it is, and its key is kept: {}", clean(what)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_moved_is_told() {
        let rekeyed = Rekeyed { key: Key::File, sessions: 2, apps: 0, left: vec!["a: why\u{1b}".into()] };
        let told = words(&rekeyed);
        assert!(
            told.starts_with("The key is in a file beside the sessions; 2 sessions and 0 apps"),
            "{told}"
        );
        assert!(told.contains("Left as it is, and its key is kept: a: why") && !told.contains('\u{1b}'));
    }
}
