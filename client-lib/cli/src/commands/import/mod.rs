//! `sso import`: takes over the sign-ins that other tools keep in plain files.
//!
//! The hard part is that a refresh token is often good for one use: whoever tries it has it, and the other
//! tool's copy is worthless. So everything is said first, each is tried once, and by the agent, which keeps
//! what comes back before it answers.

mod cli_cache;
mod find;
mod host;
mod known;
mod plan;
mod python_cache;
mod remove;

use std::path::PathBuf;

use serde::Serialize;
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::{
        places,
        session::{Import, Session},
    },
};

use self::{
    find::{Findings, Found, Skipped, Source},
    known::Known,
    plan::Shown,
};
use crate::{
    args,
    exit::{FAILED, Failure, Told},
    output::{self, Output, clean},
};

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
struct Report {
    found: Vec<Shown>,
    skipped: Vec<Skipped>,
    imported: Vec<Session>,
    failed: Vec<Failed>,
    removed: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Failed {
    #[serde(flatten)]
    what: Shown,
    error: Told,
}

pub(super) fn run(args: args::Import, output: &Output) -> Result<(), Failure> {
    let hosts = named(&args.hosts)?;
    let agent = if args.dry_run { Agent::connect_running() } else { Agent::connect() };
    let agent = agent.and_then(|mut agent| agent.sessions().map(|sessions| (agent, sessions)));
    let sessions = agent.as_ref().map(|(_, sessions)| sessions.as_slice()).unwrap_or_default();
    let mut findings = search(&args.hosts, sessions)?;
    plan::choose(&mut findings, &hosts, sessions, args.replace);
    let report = Report {
        found: findings.found.iter().map(Shown::from).collect(),
        skipped: findings.skipped.clone(),
        ..Report::default()
    };
    if findings.found.is_empty() || args.dry_run {
        return output.result(&report, || plan::words(&findings));
    }
    let (agent, _) = agent?;
    agree(&args, &findings, &report, output)?;
    take_over(agent, findings.found, report, &args, output)
}

/// The hosts of the command line, in their plain form.
fn named(typed: &[String]) -> Result<Vec<String>, Failure> {
    let plain = |typed: &String| {
        let wrong = || Failure::usage(format!("{typed:?} is not a host"), "name a host, or none for all");
        host::plain(typed).ok_or_else(wrong)
    };
    typed.iter().map(plain).collect()
}

fn search(hosts: &[String], sessions: &[Session]) -> Result<Findings, Failure> {
    let home = places::home();
    let home = home.ok_or_else(|| Failure::failed("this user has no home folder", "set HOME"))?;
    let mut known = Known::new(hosts, sessions, |name| std::env::var(name).ok());
    let unread = places::databricks_config().and_then(|path| known.add_profiles(&path));
    let mut findings = find::search(&home, &known);
    findings.skipped.extend(unread);
    Ok(findings)
}

/// Whether the person wants it, who is told all before.
fn agree(args: &args::Import, findings: &Findings, report: &Report, output: &Output) -> Result<(), Failure> {
    let asks = !args.yes && output::can_ask();
    if !args.yes && !asks {
        output.result(report, || plan::words(findings))?;
        let hint = "say that you want it with `--yes`; `--dry-run` only shows what would be done";
        return Err(Failure::usage("nobody is there to be asked, so nothing was taken over", hint));
    }
    if asks || !output.is_json() {
        output.note(&plan::words(findings));
    }
    if asks && !output.ask("Take over these sign-ins?") {
        output.note("Nothing was taken over");
        return Err(Failure::Silent(FAILED));
    }
    Ok(())
}

fn take_over(
    mut agent: Agent,
    all: Vec<Found>,
    mut report: Report,
    args: &args::Import,
    output: &Output,
) -> Result<(), Failure> {
    let mut taken: Vec<Source> = Vec::new();
    for found in all {
        let shown = Shown::from(&found);
        if report.imported.iter().any(|session| session.id == shown.session) {
            report
                .skipped
                .push(plan::left(&found, "the session was taken over from another place".to_owned()));
            continue;
        }
        // The other tool may have used the token while the person thought about it; a token that comes a
        // second time makes some issuers end all that came from it.
        let outcome = match shown.source.unchanged() {
            Ok(_) => agent.import(import(found)).map_err(told),
            Err(why) => Err(Told { kind: "failed", message: why, hint: "run `sso import` again".to_owned() }),
        };
        match outcome {
            Ok(session) => {
                tell(&session, &shown, output)?;
                taken.push(shown.source);
                report.imported.push(session);
            }
            Err(error) => {
                tell_not(&error, &shown, output);
                report.failed.push(Failed { what: shown, error });
            }
        }
    }
    clear_up(&taken, &mut report, args, output)?;
    finish(&report, output)
}

fn import(found: Found) -> Import {
    Import {
        host: found.host,
        label: found.label,
        account_id: found.account_id,
        client_id: Some(found.client_id),
        scopes: found.scopes,
        provider: found.provider.map(str::to_owned),
        refresh_token: found.refresh_token,
    }
}

fn told(error: Error) -> Told {
    match Failure::from(error) {
        Failure::Told { told, .. } => told,
        Failure::Silent(_) => Told { kind: "failed", message: String::new(), hint: String::new() },
    }
}

fn tell(session: &Session, shown: &Shown, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Ok(());
    }
    let user = session.user.as_deref().map(|user| format!(" as {}", clean(user))).unwrap_or_default();
    output.text(&format!("Took over {}{user} from {}", clean(&session.id), plan::from(&shown.source)))
}

fn tell_not(error: &Told, shown: &Shown, output: &Output) {
    if !output.is_json() {
        let (session, from) = (clean(&shown.session), plan::from(&shown.source));
        let why = format!("{}\n  {}", clean(&error.message), clean(&error.hint));
        output.note(&format!("Could not take over {session} from {from}: {why}"));
    }
}

/// Removes the originals, if that is wanted.
fn clear_up(
    taken: &[Source],
    report: &mut Report,
    args: &args::Import,
    output: &Output,
) -> Result<(), Failure> {
    if taken.is_empty() || args.keep {
        return Ok(());
    }
    if !args.remove && !output::can_ask() {
        output.note("The originals were kept, in plain text; `--remove` removes them");
        return Ok(());
    }
    if !args.remove && !output.ask("Remove the originals of these sign-ins, which are plain text?") {
        return Ok(());
    }
    let removed = remove::remove(&taken.iter().collect::<Vec<_>>());
    for left in &removed.left {
        let path = left.path.display().to_string();
        output.note(&format!("Did not remove the original in {}: {}", clean(&path), clean(&left.why)));
    }
    if !output.is_json() {
        for path in &removed.paths {
            output.text(&format!("Removed the original in {}", clean(&path.display().to_string())))?;
        }
    }
    report.removed = removed.paths;
    report.skipped.extend(removed.left);
    Ok(())
}

fn finish(report: &Report, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        output.result(report, String::new)?;
    }
    // One that was no good does not matter where another one of the same session was.
    let missing = |failed: &&Failed| report.imported.iter().all(|session| session.id != failed.what.session);
    match report.failed.iter().filter(missing).count() {
        0 => Ok(()),
        _ if output.is_json() => Err(Failure::Silent(FAILED)),
        count => Err(Failure::failed(
            format!("{count} of {} sign-ins could not be taken over", report.found.len()),
            "sign in there yourself: `sso login HOST`",
        )),
    }
}

/// What a client asks for, so that it may come back without a person.
fn with_offline_access(scopes: &[String]) -> Vec<String> {
    let mut scopes = scopes.to_owned();
    if scopes.iter().all(|scope| scope != "offline_access") {
        scopes.push("offline_access".to_owned());
    }
    scopes
}
