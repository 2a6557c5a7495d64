//! The token cache of the Databricks SDK for Python: one file for each sign-in by `external-browser`.
//!
//! The hard part is that a file does not say what it is for: its name is a hash of host, client, scopes and
//! profile. So the hash is made of everything that it may be of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    find::{Findings, Found, STOCK_CLIENT, Seen, Skipped, Source, Stored, Tool},
    host,
    known::{Client, Known, Setting},
    with_offline_access,
};
use crate::private;

/// What the SDK asks for where nothing is said.
const SCOPES: &[&str] = &["all-apis"];
/// What its first versions asked for.
const OLD_SCOPES: &[&str] = &["offline_access", "clusters", "sql"];

/// Where it is.
pub(super) fn folder(home: &Path) -> PathBuf {
    [".config", "databricks-sdk-py", "oauth"].iter().fold(home.to_owned(), |path, part| path.join(part))
}

/// Adds what the cache holds; `signed_in` are more hosts that it may be of.
pub(super) fn search(folder: &Path, known: &Known, signed_in: &[String], findings: &mut Findings) {
    let files = match files(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let why = format!("it cannot be read: {error}");
            return findings.skipped.push(Skipped::new(folder, why));
        }
    };
    if files.is_empty() {
        return;
    }
    let names = names(known, signed_in);
    for path in files {
        match found(&path, known, &names) {
            Ok(Some(found)) => findings.found.push(found),
            Ok(None) => {}
            Err(why) => findings.skipped.push(Skipped::new(&path, why)),
        }
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn found(path: &Path, known: &Known, names: &BTreeMap<String, Name>) -> Result<Option<Found>, String> {
    #[derive(Deserialize)]
    struct Session {
        token: Stored,
    }
    let Some(bytes) = private::read(path)? else { return Ok(None) };
    // The library's own errors quote what they do not like.
    let session: Session =
        serde_json::from_slice(&bytes).map_err(|_| "it is no sign-in of the Databricks SDK".to_owned())?;
    let refresh_token = session.token.refresh_token()?;
    let hash = path.file_stem().unwrap_or_default().to_string_lossy();
    let Some(name) = names.get(&*hash) else {
        return Err("it does not tell its host; say it: `sso import HOST`".to_owned());
    };
    if name.way.has_secret {
        return Err("it was signed in with a client secret, which is not taken over".to_owned());
    }
    if name.way.group_id.is_some() {
        return Err("it is for the role of a group, which cannot be taken over".to_owned());
    }
    let host = host::plain(&name.host).ok_or("its host is none")?;
    Ok(Some(Found {
        source: Source {
            tool: Tool::Python,
            path: path.to_owned(),
            keys: Vec::new(),
            seen: Seen::of(&bytes),
        },
        account_id: known.account(&host, name.profile.as_deref()),
        host,
        label: name.profile.clone().filter(|profile| host::is_label(profile)),
        client_id: name.way.client_id.clone(),
        provider: name.way.provider,
        scopes: name.way.scopes.clone(),
        refresh_token,
    }))
}

/// What the name of a file is made of.
#[derive(Debug)]
struct Name {
    host: String,
    profile: Option<String>,
    way: Way,
}

/// One way to sign in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    client_id: String,
    provider: Option<&'static str>,
    has_secret: bool,
    scopes: Vec<String>,
    group_id: Option<String>,
}

/// Every name that a file may have.
fn names(known: &Known, signed_in: &[String]) -> BTreeMap<String, Name> {
    let typed = known.hosts().chain(signed_in.iter().map(String::as_str));
    let hosts: BTreeSet<String> = typed.flat_map(host::spellings).collect();
    let ways: BTreeSet<(Option<&str>, Way)> = known
        .settings
        .iter()
        .flat_map(|setting| ways(setting).into_iter().map(|way| (setting.profile.as_deref(), way)))
        .collect();
    let mut names = BTreeMap::new();
    for host in &hosts {
        for (profile, way) in &ways {
            let mut add = |hash, profile: Option<&str>, way: &Way| {
                names.entry(hash).or_insert_with(|| Name {
                    host: host.clone(),
                    profile: profile.map(str::to_owned),
                    way: way.clone(),
                });
            };
            add(hash(host, "", way), None, way);
            if let Some(profile) = profile {
                add(hash(host, profile, way), Some(*profile), way);
            }
            for (scopes, granted) in [(&[][..], &[][..]), (OLD_SCOPES, OLD_SCOPES)] {
                let granted = granted.iter().map(|scope| (*scope).to_owned()).collect();
                let way = Way { scopes: granted, group_id: None, ..way.clone() };
                add(old_hash(host, &way.client_id, scopes), None, &way);
            }
        }
    }
    names
}

fn ways(setting: &Setting) -> Vec<Way> {
    let client = |client: &Client, provider| (client.id.clone(), provider, client.has_secret);
    let clients = [Some((STOCK_CLIENT.to_owned(), None, false))]
        .into_iter()
        .chain([setting.client.as_ref().map(|own| client(own, None))])
        .chain([setting.azure_client.as_ref().map(|azure| client(azure, Some("entra")))])
        .flatten();
    let usual: Vec<String> = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
    let scopes = [&usual, &setting.scopes].into_iter().filter(|scopes| !scopes.is_empty());
    let scopes: Vec<Vec<String>> = scopes.map(|scopes| with_offline_access(scopes)).collect();
    let groups = [None].into_iter().chain(setting.group_id.clone().map(Some));
    let groups: Vec<Option<String>> = groups.collect();
    let mut ways = Vec::new();
    for (client_id, provider, has_secret) in clients {
        for scopes in &scopes {
            ways.extend(groups.iter().map(|group_id| Way {
                client_id: client_id.clone(),
                provider,
                has_secret,
                scopes: scopes.clone(),
                group_id: group_id.clone(),
            }));
        }
    }
    ways
}

/// The name of a file: a hash of the JSON that Python makes of its key, sorted.
fn hash(host: &str, profile: &str, way: &Way) -> String {
    let scopes: Vec<String> = way.scopes.iter().map(|scope| quoted(scope)).collect();
    let group = way.group_id.iter().map(|id| format!("\"group_id\": {}, ", quoted(id))).collect::<String>();
    let key = format!(
        "{{\"client_id\": {}, {group}\"host\": {}, \"profile\": {}, \"scopes\": [{}]}}",
        quoted(&way.client_id),
        quoted(host),
        quoted(profile),
        scopes.join(", ")
    );
    hex(&key)
}

/// The same up to version 0.67.
fn old_hash(host: &str, client_id: &str, scopes: &[&str]) -> String {
    hex(&format!("{host}{client_id}{}", scopes.join(",")))
}

fn hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A string as Python's `json` writes it: ASCII only.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        ' '..='~' => c.to_string(),
        _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests;
