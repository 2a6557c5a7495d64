//! Framing: however the bytes arrive, the same lines come out, and memory is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sso_agent_proto::lines::Lines;

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, size) = input;
    let (mut whole, mut pieces) = (Lines::default(), Lines::default());
    let (mut one, mut other) = (Vec::new(), Vec::new());
    if whole.push(&bytes).is_ok() {
        while let Some(line) = whole.take() {
            one.push(line.to_vec());
        }
    }
    for piece in bytes.chunks(usize::from(size).max(1)) {
        if pieces.push(piece).is_err() {
            return;
        }
        while let Some(line) = pieces.take() {
            other.push(line.to_vec());
        }
    }
    assert_eq!(one, other);
});
