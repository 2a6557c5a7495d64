//! Handles are many, and a process has one copy of its environment, that it can change.

use std::io;

/// A process can have 16 million handles; each client costs a few, and memory.
const HANDLES: usize = 20_000;

pub(super) fn prepare() -> io::Result<()> {
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "the standard library has removed variables in this way only since edition 2024"
)]
pub(super) fn shed(names: &[&str]) -> io::Result<()> {
    for name in names {
        // SAFETY: on Windows the system guards the environment against other threads.
        unsafe { std::env::remove_var(name) };
    }
    Ok(())
}

/// Whoever starts us in the background gives us no console.
pub(super) fn detach() {}

pub(super) fn file_limit() -> usize {
    HANDLES
}

pub(super) fn open_files() -> usize {
    0
}
