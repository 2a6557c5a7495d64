//! Looks for secrets in what a process can write to, and in any other bytes.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result};

/// Enough to tell them apart; all are longer.
const HEAD: usize = 8;

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Secrets {
    by_head: HashMap<[u8; HEAD], Vec<String>>,
    /// Which pairs of bytes one begins with: most places in a memory are passed by this alone.
    begins: Vec<bool>,
}

impl Secrets {
    pub(crate) fn new(all: impl IntoIterator<Item = String>) -> Self {
        let mut secrets = Self { by_head: HashMap::new(), begins: vec![false; 1 << 16] };
        for secret in all {
            if let Some(head) = secret.as_bytes().first_chunk::<HEAD>() {
                if let Some(begins) = secrets.begins.get_mut(pair(head[0], head[1])) {
                    *begins = true;
                }
                secrets.by_head.entry(*head).or_default().push(secret);
            }
        }
        secrets
    }

    /// Those that are in these bytes.
    pub(crate) fn within(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, window) in bytes.windows(HEAD).enumerate() {
            if !self.begins.get(pair(window[0], window[1])).is_some_and(|begins| *begins) {
                continue;
            }
            let head: [u8; HEAD] = window.try_into().unwrap_or_default();
            let candidates = self.by_head.get(&head).into_iter().flatten();
            let rest = bytes.get(at..).unwrap_or_default();
            found.extend(candidates.filter(|secret| rest.starts_with(secret.as_bytes())).map(String::as_str));
        }
        found
    }

    /// Those that are in the memory of a process.
    ///
    /// # Errors
    /// Where this process may not look into that one; it takes root.
    pub(crate) fn within_process(&self, pid: u32) -> Result<BTreeSet<&str>> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).context("the process has ended")?;
        let memory = File::open(format!("/proc/{pid}/mem")).context("its memory is closed; it takes root")?;
        let (mut found, mut looked) = (BTreeSet::new(), 0);
        for (from, to) in maps.lines().filter_map(writable) {
            let mut bytes = vec![0; usize::try_from(to - from)?];
            // Some regions are none that can be read.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                looked += bytes.len();
                found.extend(self.within(&bytes));
            }
        }
        anyhow::ensure!(looked > 0, "there was no memory to look into");
        Ok(found)
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// The ends of a region, if a process can write to it.
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let address = |text| u64::from_str_radix(text, 16).ok();
    words.next()?.starts_with("rw").then_some((address(from)?, address(to)?))
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn a_secret_is_found_wherever_it_stands_and_half_of_one_is_not() {
        let secrets = Secrets::new(["demo-rt-one".to_owned(), "demo-rt-two".to_owned()]);
        let found = secrets.within(b"demo-rt-demo-rt-two, demo-rt-on");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["demo-rt-two"]);
    }

    #[test]
    fn what_this_process_keeps_is_found_in_its_memory() {
        let held = format!("canary-{}", std::process::id());
        let secrets = Secrets::new([held.clone(), "canary-that-is-nowhere-else".chars().rev().collect()]);
        assert!(secrets.within_process(std::process::id()).is_ok_and(|found| found.contains(held.as_str())));
    }
}
