//! The token cache of the Databricks CLI: one file with a token for each of its keys, which are names of
//! profiles and hosts. The same sign-in usually stands under both.

use std::{
    fmt,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    find::{Findings, Found, STOCK_CLIENT, Seen, Skipped, Source, Stored, Tool},
    host,
    known::Known,
};
use crate::private;

/// The only version there has been.
const VERSION: u64 = 1;

/// Where it is.
pub(super) fn path(home: &Path) -> PathBuf {
    home.join(".databricks").join("token-cache.json")
}

/// Adds what the cache holds.
pub(super) fn search(path: &Path, known: &Known, findings: &mut Findings) {
    let bytes = match private::read(path) {
        Ok(None) => return,
        Ok(Some(bytes)) => bytes,
        Err(why) => return findings.skipped.push(Skipped::new(path, why)),
    };
    let entries = match entries(&bytes) {
        Ok(entries) => entries,
        Err(why) => return findings.skipped.push(Skipped::new(path, why)),
    };
    let mut sign_ins: Vec<SignIn> = Vec::new();
    for (key, stored) in entries {
        match stored.and_then(Stored::refresh_token) {
            Ok(token) => add(&mut sign_ins, key, token),
            Err(why) => findings.skipped.push(Skipped::entry(path, key, why)),
        }
    }
    let seen = Seen::of(&bytes);
    for sign_in in sign_ins {
        match sign_in.found(path, seen, known) {
            Ok(found) => findings.found.push(found),
            Err(skipped) => findings.skipped.push(skipped),
        }
    }
}

/// The same content without these keys; `None` when nothing is left of it.
pub(super) fn without(bytes: &[u8], keys: &[String]) -> Result<Option<Zeroizing<Vec<u8>>>, &'static str> {
    let outer: Pairs<&RawValue> = read(bytes)?;
    let mut nothing_else = true;
    let mut parts = Vec::new();
    for (name, raw) in outer.0 {
        if name != "tokens" {
            nothing_else &= name == "version";
            parts.push((name, Part::Other(raw)));
            continue;
        }
        let mut tokens: Pairs<&RawValue> = read(raw.get().as_bytes())?;
        tokens.0.retain(|(key, _)| !keys.contains(key));
        nothing_else &= tokens.0.is_empty();
        parts.push((name, Part::Tokens(tokens)));
    }
    if nothing_else {
        return Ok(None);
    }
    // A buffer that grows leaves copies behind; line breaks and indents are all that is added.
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len() * 2 + 1024));
    serde_json::to_writer_pretty(&mut *text, &Pairs(parts)).map_err(|_| NO_CACHE)?;
    text.push(b'\n');
    Ok(Some(text))
}

const NO_CACHE: &str = "it is no token cache of the Databricks CLI";

/// A key, and what stands under it.
type Entry = (String, Result<Stored, &'static str>);

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    #[derive(Deserialize)]
    struct Cache<'a> {
        #[serde(borrow)]
        tokens: Pairs<&'a RawValue>,
    }
    let Version { version } = read(bytes)?;
    if version != VERSION {
        return Err(format!("it is of version {version}, and only {VERSION} is known"));
    }
    let cache: Cache<'_> = read(bytes)?;
    let stored = |raw: &RawValue| read::<Stored>(raw.get().as_bytes()).map_err(|_| "it is no token");
    Ok(cache.tokens.0.into_iter().map(|(key, raw)| (key, stored(raw))).collect())
}

/// The library's own errors quote what they do not like.
fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, &'static str> {
    serde_json::from_slice(bytes).map_err(|_| NO_CACHE)
}

/// One sign-in and all keys that it stands under.
struct SignIn {
    token: SecretString,
    keys: Vec<String>,
}

fn add(sign_ins: &mut Vec<SignIn>, key: String, token: SecretString) {
    let same = |sign_in: &&mut SignIn| sign_in.token.expose_secret() == token.expose_secret();
    match sign_ins.iter_mut().find(same) {
        Some(sign_in) => sign_in.keys.push(key),
        None => sign_ins.push(SignIn { token, keys: vec![key] }),
    }
}

impl SignIn {
    fn found(self, path: &Path, seen: Seen, known: &Known) -> Result<Found, Skipped> {
        let mut profiles = self.keys.iter().filter(|key| Place::of_key(key).is_none());
        let first = profiles.clone().next();
        let named = profiles.find_map(|name| Some((Some(name), Place::of_profile(name, known)?)));
        let hosts = || self.keys.iter().find_map(|key| Place::of_key(key));
        let Some((profile, place)) = named.or_else(|| Some((first, hosts()?))) else {
            let key = self.keys.first().cloned().unwrap_or_default();
            let why = "no profile of this name says which host it is for";
            return Err(Skipped::entry(path, key, why));
        };
        let scopes = profile.and_then(|name| known.profile(name)).map(asked_for).unwrap_or_default();
        Ok(Found {
            host: place.host,
            account_id: place.account_id,
            label: profile.filter(|name| host::is_label(name)).cloned(),
            client_id: STOCK_CLIENT.to_owned(),
            provider: None,
            scopes,
            refresh_token: self.token,
            source: Source { tool: Tool::Cli, path: path.to_owned(), keys: self.keys.clone(), seen },
        })
    }
}

fn asked_for(setting: &super::known::Setting) -> Vec<String> {
    if setting.scopes.is_empty() { Vec::new() } else { super::with_offline_access(&setting.scopes) }
}

struct Place {
    host: String,
    account_id: Option<String>,
}

impl Place {
    /// What a key that is a host says: `https://host`, `https://host/oidc/accounts/ID`.
    fn of_key(key: &str) -> Option<Self> {
        if !key.contains("://") {
            return None;
        }
        let (bare, account_id) = match key.split_once("/oidc/accounts/") {
            Some((bare, id)) => (bare, Some(id.trim_end_matches('/').to_owned())),
            None => (key, None),
        };
        Some(Self { host: host::plain(bare)?, account_id })
    }

    fn of_profile(name: &str, known: &Known) -> Option<Self> {
        let setting = known.profile(name)?;
        let host = host::plain(setting.host.as_deref()?)?;
        Some(Self { host, account_id: setting.account_id.clone() })
    }
}

/// An object whose order stays, and whose values as well: numbers are not rounded on the way.
struct Pairs<T>(Vec<(String, T)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Part<'a> {
    Tokens(Pairs<&'a RawValue>),
    Other(&'a RawValue),
}

impl<T: Serialize> Serialize for Pairs<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(InOrder(PhantomData))
    }
}

#[cfg(test)]
mod tests;
