//! Looks into a process as only root can: for secrets in its memory, its environment and its arguments.
//!
//! A secret counts as found in any form that a library may have given it, and also when only its end is
//! there: the allocator writes over the beginning of what is freed, and over nothing else.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

/// Of a secret, its last so many bytes are looked for: too many to be there by chance.
const TAIL: usize = 20;

/// What is looked for.
#[derive(Debug, Default)]
pub struct Needles {
    all: Vec<(String, Vec<u8>)>,
    /// By their first two bytes, since most of any memory begins none of them.
    by_start: HashMap<[u8; 2], Vec<usize>>,
}

impl Needles {
    /// These secrets, each by a name that may be shown.
    pub fn new<N: AsRef<str>, S: AsRef<str>>(secrets: impl IntoIterator<Item = (N, S)>) -> Self {
        let mut needles = Self::default();
        for (name, secret) in secrets {
            let (name, secret) = (name.as_ref(), secret.as_ref());
            assert!(secret.len() >= 12, "{name} is too short to be looked for");
            for (form, bytes) in forms(secret) {
                needles.add(format!("{name} ({form})"), bytes);
            }
        }
        needles
    }

    fn add(&mut self, name: String, bytes: Vec<u8>) {
        let start = [bytes[0], bytes[1]];
        self.by_start.entry(start).or_default().push(self.all.len());
        self.all.push((name, bytes));
    }

    /// The names of those that are in there.
    pub fn in_bytes(&self, hay: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut starts = vec![false; 1 << 16];
        for [first, second] in self.by_start.keys() {
            starts[usize::from(*first) << 8 | usize::from(*second)] = true;
        }
        for at in 0..hay.len().saturating_sub(1) {
            if starts[usize::from(hay[at]) << 8 | usize::from(hay[at + 1])] {
                for which in &self.by_start[&[hay[at], hay[at + 1]]] {
                    let (name, bytes) = &self.all[*which];
                    if hay[at..].starts_with(bytes) {
                        found.insert(name.as_str());
                    }
                }
            }
        }
        found
    }

    /// Where they are in this process; nothing where it is gone.
    pub fn in_process(&self, pid: u32) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut put = |place: &str, names: BTreeSet<&str>| {
            found.extend(names.iter().map(|name| format!("process {pid}, {place}: {name}")));
        };
        for file in ["environ", "cmdline"] {
            put(file, self.in_bytes(&fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default()));
        }
        for (place, bytes) in writable(pid) {
            put(&place, self.in_bytes(&bytes));
        }
        found
    }

    /// Where they are in memory that was read before.
    pub fn in_memory(&self, memory: &[(String, Vec<u8>)]) -> BTreeSet<String> {
        let named = |(place, bytes): &(String, Vec<u8>)| {
            self.in_bytes(bytes).iter().map(|name| format!("{place}: {name}")).collect::<Vec<_>>()
        };
        memory.iter().flat_map(named).collect()
    }
}

/// All memory that a process can write, by the names of its mappings; nothing where the process is gone.
pub fn writable(pid: u32) -> Vec<(String, Vec<u8>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let Ok(memory) = File::open(format!("/proc/{pid}/mem")) else { return Vec::new() };
    let mapping = |line: &str| {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next()?, fields.next()?);
        let place = fields.nth(3).unwrap_or("anonymous memory").to_owned();
        let (from, to) = range.split_once('-').filter(|_| rights.starts_with("rw"))?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        let (from, to) = (address(from)?, address(to)?);
        let mut bytes = vec![0; usize::try_from(to - from).ok()?];
        // What cannot be read holds nothing: `vvar` and its like.
        memory.read_exact_at(&mut bytes, from).ok()?;
        Some((place, bytes))
    };
    maps.lines().filter_map(mapping).collect()
}

/// All that run below a process, itself first.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = all
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name in parentheses may have anything in it.
            Some((pid, stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?))
        })
        .collect();
    let mut next = 0;
    while let Some(of) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

/// How a secret may stand somewhere.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let tail = &bytes[bytes.len().saturating_sub(TAIL)..];
    let hex = |format: fn(&u8) -> String| tail.iter().map(format).collect::<String>().into_bytes();
    let wide = |order: fn(u16) -> [u8; 2]| {
        String::from_utf8_lossy(tail).encode_utf16().flat_map(order).collect::<Vec<u8>>()
    };
    let mut all = vec![
        ("plain", tail.to_vec()),
        ("hex", hex(|byte| format!("{byte:02x}"))),
        ("HEX", hex(|byte| format!("{byte:02X}"))),
        ("UTF-16", wide(u16::to_le_bytes)),
        ("UTF-16, big endian", wide(u16::to_be_bytes)),
    ];
    let percent = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    let encoded: String = tail.iter().map(percent).collect();
    if encoded.as_bytes() != tail {
        all.push(("percent-encoded", encoded.into_bytes()));
    }
    for shift in 0..3 {
        for (name, alphabet) in [("base64", STANDARD), ("base64url", URL)] {
            let encoded = base64(&[&vec![0; shift][..], tail].concat(), alphabet);
            // What the neighbours of the secret have a part in is left out.
            all.push((name, encoded[if shift == 0 { 0 } else { 4 }..tail.len() / 3 * 4].to_vec()));
        }
    }
    all
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Whole groups only (RFC 4648, 4).
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> Vec<u8> {
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| alphabet[bits >> shift & 63])
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "canary/0123456789+abcdefghijklmnop";

    #[test]
    fn a_secret_is_found_in_every_form() {
        let needles = Needles::new([("it", SECRET)]);
        let found = |text: &[u8]| needles.in_bytes(&[b"before ", text, b" behind"].concat()).len();
        assert_eq!(found(SECRET.as_bytes()), 1);
        assert_eq!(found(&SECRET.as_bytes()[10..]), 1, "its end is enough");
        assert_eq!(found(b"canary/0123456789+abcdefg"), 0);
        for before in ["", "x", "xy"] {
            let encoded = base64(format!("{before}{SECRET}......").as_bytes(), URL);
            assert!(found(&encoded) > 0, "{before:?}");
        }
        let wide: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(found(&wide) > 0);
        assert_eq!(found(SECRET.replace('+', "%2B").as_bytes()), 1);
    }

    #[test]
    fn a_secret_is_found_in_a_process() {
        let secret: String = (0..40_u8).map(|n| char::from(b'a' + n % 26 * 7 % 26)).collect();
        let needles = Needles::new([("it", &secret)]);
        let own = std::process::id();
        assert!(needles.in_process(own).iter().any(|place| place.contains("it (plain)")));
        assert!(family(own).contains(&own));
    }
}
