//! `sso lock` and `sso unlock`. The passphrase is typed, or piped in: never an argument, never a variable.

use std::io::{self, IsTerminal as _};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::fault::{Fault, Kind},
};

use super::secrets;
use crate::{exit::Failure, output::Output};

#[derive(Serialize)]
struct Shown {
    locked: bool,
}

pub(super) fn lock(output: &Output) -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    // Before anybody thinks of a passphrase for nothing.
    if agent.info()?.locked {
        let fault =
            Fault::new(Kind::Locked, "the agent is locked already", "to lock it anew, unlock it first");
        return Err(Error::from(fault).into());
    }
    let passphrase = secrets::typed("passphrase", "Passphrase to lock the agent with: ", output)?;
    confirm(&passphrase, output)?;
    agent.lock(passphrase)?;
    output
        .result(&Shown { locked: true }, || "Locked: no token leaves the agent until `sso unlock`".to_owned())
}

pub(super) fn unlock(output: &Output) -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    agent.unlock(secrets::typed("passphrase", "Passphrase: ", output)?)?;
    output.result(&Shown { locked: false }, || "Unlocked".to_owned())
}

/// A typing error would lock out whoever made it. What is piped in was not typed.
fn confirm(passphrase: &SecretString, output: &Output) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Ok(());
    }
    let again = secrets::typed("passphrase", "The same again: ", output)?;
    if again.expose_secret() == passphrase.expose_secret() {
        return Ok(());
    }
    Err(Failure::usage("the two passphrases differ", "try again; the agent is not locked"))
}
