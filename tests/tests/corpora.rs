//! The corpora of the fuzz targets, gone through without a fuzzer: each input as it is, cut, and changed.

#![cfg(unix)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sso_agent::fuzzing::TARGETS;
use sso_agent_tests::parts::source;

/// How often each input is changed.
const CHANGES: u64 = 60;

#[test]
fn every_target_has_a_corpus_and_a_program_and_none_of_it_breaks_anything() {
    let fuzz = source().join("tests/fuzz");
    let mut runs = 0u64;
    for (name, target) in TARGETS {
        assert!(fuzz.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name} has no program");
        let corpus = fs::read_dir(fuzz.join("corpus").join(name)).expect("a target has a corpus");
        let mut files: Vec<_> = corpus.map(|file| file.expect("a folder can be read").path()).collect();
        files.sort();
        assert!(files.len() >= 4, "{name} has too small a corpus");
        for file in files {
            let whole = fs::read(&file).expect("a file can be read");
            let mut run = |bytes: &[u8]| {
                runs += 1;
                let ran = catch_unwind(AssertUnwindSafe(|| target(bytes)));
                assert!(
                    ran.is_ok(),
                    "{name} breaks on {} as {:?}",
                    file.display(),
                    bytes.escape_ascii().to_string()
                );
            };
            run(&whole);
            let step = whole.len() / 40 + 1;
            (0..whole.len()).step_by(step).for_each(|end| run(&whole[..end]));
            for seed in 0..CHANGES {
                run(&changed(&whole, seed));
            }
        }
    }
    println!("{runs} inputs of {} targets", TARGETS.len());
}

/// A few bytes changed, left out or doubled, the same for the same seed.
fn changed(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit.max(1) as u64).unwrap_or_default()
    };
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random(4) {
        let at = random(bytes.len());
        match random(4) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random(8),
            1 if !bytes.is_empty() => drop(bytes.remove(at)),
            2 => bytes.insert(at, u8::try_from(random(256)).unwrap_or_default()),
            _ => {
                let piece: Vec<u8> = bytes.iter().skip(at).take(random(40)).copied().collect();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}
