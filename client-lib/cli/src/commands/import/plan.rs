//! What is going to be taken over, said before it is done.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;
use sso_agent_client::proto::session::{Session, State};

use super::find::{Findings, Found, Skipped, Source};
use crate::output::clean;

const HEADER: [&str; 4] = ["FROM", "HOST", "ACCOUNT", "BECOMES"];
const WARNING: &str = "\
Each refresh token is used once, to see whether it is good. After that the copy that the other tool has
may be worthless: that tool then needs the agent, or a sign-in of its own.";
const NOTHING_THERE: &str = "\
There is no sign-in to take over. What the Databricks CLI keeps in the keyring is not looked at.
";

/// A sign-in as it is shown: all but its token.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    pub(super) source: Source,
    host: String,
    account_id: Option<String>,
    client_id: String,
    /// What the agent will call it.
    pub(super) session: String,
}

impl From<&Found> for Shown {
    fn from(found: &Found) -> Self {
        Self {
            source: found.source.clone(),
            host: found.host.clone(),
            account_id: found.account_id.clone(),
            client_id: found.client_id.clone(),
            session: found.session(),
        }
    }
}

/// Leaves out what is not for these hosts, if any are named, and what the agent has.
pub(super) fn choose(findings: &mut Findings, hosts: &[String], sessions: &[Session], replace: bool) {
    for found in std::mem::take(&mut findings.found) {
        if !hosts.is_empty() && !hosts.contains(&found.host) {
            continue;
        }
        if replace || !has(sessions, &found) {
            findings.found.push(found);
            continue;
        }
        let why =
            format!("the agent is signed in as {}; `--replace` takes this one instead", found.session());
        findings.skipped.push(left(&found, why));
    }
}

/// One that is not taken over.
pub(super) fn left(found: &Found, why: String) -> Skipped {
    let Source { path, keys, .. } = &found.source;
    match keys.first() {
        Some(key) => Skipped::entry(path, key.clone(), why),
        None => Skipped::new(path, why),
    }
}

fn has(sessions: &[Session], found: &Found) -> bool {
    let id = found.session();
    sessions.iter().any(|session| session.id == id && session.state != State::LoginRequired)
}

pub(super) fn words(findings: &Findings) -> String {
    let mut text = String::new();
    if !findings.found.is_empty() {
        text += &format!("To be taken over:\n\n{}\n{WARNING}\n", table(&findings.found));
    }
    if !findings.skipped.is_empty() {
        text += if text.is_empty() { "Left alone:\n" } else { "\nLeft alone:\n" };
        findings.skipped.iter().for_each(|skipped| text += &line(skipped));
    }
    if findings.found.is_empty() {
        text += NOTHING_THERE;
    }
    text
}

fn table(found: &[Found]) -> String {
    let mut table = Table::new();
    // Columns that shrink to the terminal would cut paths in the middle.
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).enforce_styling();
    table.set_header(HEADER.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for (index, one) in found.iter().enumerate() {
        let session = one.session();
        let spare = found[..index].iter().any(|before| before.session() == session);
        let remark = if spare { " (if the one above is no good)" } else { "" };
        table.add_row([
            from(&one.source),
            clean(&one.host),
            clean(one.account_id.as_deref().unwrap_or("-")),
            clean(&session) + remark,
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Where it is, and under which names.
pub(super) fn from(source: &Source) -> String {
    let path = clean(&source.path.display().to_string());
    if source.keys.is_empty() { path } else { format!("{path} ({})", clean(&source.keys.join(", "))) }
}

fn line(skipped: &Skipped) -> String {
    let key = skipped.key.as_ref().map(|key| format!(" ({})", clean(key))).unwrap_or_default();
    format!("  {}{key}: {}\n", clean(&skipped.path.display().to_string()), clean(&skipped.why))
}
