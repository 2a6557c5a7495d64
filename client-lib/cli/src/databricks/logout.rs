//! `databricks auth logout`: ends the sign-in of a profile, and takes the profile out when asked to.

use sso_agent_client::{
    blocking::Agent,
    proto::{
        databrickscfg::{AuthType, Section, edit},
        session::{Session, Target},
    },
};

use crate::{
    args::Said,
    file::Loaded,
    resolve,
    say::{self, Fail},
};

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let file = Loaded::here()?;
    let name = name(said, &file)?;
    let Some(section) = file.config.profile(&name) else {
        let names: Vec<&str> = file.config.profiles().map(Section::name).collect();
        return Err(Fail::new(format!(
            "profile {name:?} not found. Available profiles: {}",
            names.join(", ")
        )));
    };
    if !said.auto_approve && !approved(&name, &file, said)? {
        say::note("Aborting logout... No changes were made.");
        return Ok(());
    }
    // As in the CLI: what was not made by a login is not ended by a logout.
    let by_login = section.get("auth_type").map(AuthType::named) == Some(AuthType::DatabricksCli);
    if by_login {
        end(section, &file)?;
    }
    if said.delete {
        delete(file, &name, by_login)?;
    }
    say::note(&match (by_login, said.delete) {
        (true, true) => format!("Logged out of and deleted profile {name:?}."),
        (true, false) => {
            format!("Logged out of profile {name:?}. Use --delete to also remove it from the config file.")
        }
        (false, true) => format!("Deleted profile {name:?} with no tokens to clear."),
        (false, false) => {
            format!(
                "No tokens to clear for profile {name:?}. Use --delete to remove it from the config file."
            )
        }
    });
    Ok(())
}

fn name(said: &Said, file: &Loaded) -> Result<String, Fail> {
    if let (Some(word), Some(_)) = (said.words.first(), &said.profile) {
        return Err(Fail::new(format!(
            "argument {word:?} cannot be combined with --profile. Use the --profile flag instead"
        )));
    }
    let none = || {
        Fail::new(
            "the command is being run in a non-interactive environment, please specify a profile using the PROFILE argument or --profile flag",
        )
    };
    let Some(word) = said.words.first() else { return said.profile.clone().ok_or_else(none) };
    if file.config.profile(word).is_some() || !resolve::looks_like_host(word) {
        return Ok(word.clone());
    }
    let names: Vec<&str> = resolve::at_host(&file.config, word).map(Section::name).collect();
    match names.as_slice() {
        [] => Err(Fail::new(format!("no profile found matching host {word:?}"))),
        [only] => Ok((*only).to_owned()),
        several => Err(Fail::new(format!(
            "multiple profiles found matching host {word:?}: {}. Please specify the profile name directly",
            several.join(", ")
        ))),
    }
}

fn approved(name: &str, file: &Loaded, said: &Said) -> Result<bool, Fail> {
    if !say::is_asked() {
        return Err(Fail::new("please specify --auto-approve to skip confirmation in non-interactive mode"));
    }
    let what = if said.delete { "log out of and delete profile" } else { "log out of profile" };
    let mut text = format!("Warning: This will {what} {name}.\n\nThe following changes will be made:\n");
    if said.delete {
        text += &format!("  - Remove profile {name} from {}\n", file.path.display());
    }
    text += "  - Delete any cached OAuth tokens for this profile\n\nYou will need to run databricks auth login to re-authenticate.";
    say::note(&text);
    let answer = say::ask("Are you sure? [y/n]", "n").unwrap_or_default();
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

/// The profile's own session, and the host's one when no other profile uses it.
fn end(section: &Section, file: &Loaded) -> Result<(), Fail> {
    let Some(own) = section.get("host") else {
        return Err(Fail::new(format!("no host configured for profile {}", section.name())));
    };
    let account_id = section.get("account_id");
    let others = resolve::at_host(&file.config, own)
        .filter(|other| other.name() != section.name() && other.get("account_id") == account_id)
        .any(|other| other.auth_type().is_ok_and(|auth_type| auth_type.is_person()));
    let mut agent = Agent::connect()?;
    let ends = |session: &Session| {
        resolve::is_at(session, own, account_id)
            && (resolve::is_label_of(&session.label, section.name()) || session.label.is_empty() && !others)
    };
    let sessions = agent.sessions()?;
    for session in sessions.into_iter().filter(ends) {
        agent.logout(Target { session: Some(session.id), ..Target::default() })?;
    }
    Ok(())
}

fn delete(file: Loaded, name: &str, by_login: bool) -> Result<(), Fail> {
    let was_default = file.config.settings().default_profile == Some(name);
    let done = file.change(|text| {
        let removed = edit::remove(text, name)?;
        if was_default { edit::set_default(&removed, None) } else { Ok(removed) }
    });
    done.map_err(|Fail(why)| {
        let so_far = if by_login { "token cache cleared, but failed" } else { "failed" };
        Fail::new(format!(
            "{so_far} to delete profile. Re-run with --delete to retry. If this error persists, please check the state of the config file: {}",
            why.unwrap_or_default()
        ))
    })
}
