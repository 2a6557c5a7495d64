//! What a process owes its secrets before it has any.

use std::io;

use crate::system::process as system;

/// Keeps other processes of the same user out of our memory, and it out of dumps, as far as the system goes:
///
/// - Linux: `PR_SET_DUMPABLE` off, which also stops core handlers behind a pipe, that heed no limit;
/// - macOS: no debugger may attach;
/// - Windows: our other processes may ask who this one is, wait for it and end it, and nothing else; error
///   reports hold no memory of it.
///
/// None of it outlives an exec, or passes to children.
///
/// # Errors
/// The system's; it can be read then as any process can.
pub fn keep_others_out() -> io::Result<()> {
    system::keep_others_out()
}

/// Children that are started from now on get those of our standard streams that they are given, and no others:
/// one that stays would keep them open, and whoever reads what we print would wait for its end.
pub fn keep_streams() {
    system::keep_streams();
}

/// Whether a process of that number lives; yes where that cannot be told.
pub fn is_alive(pid: u32) -> bool {
    system::is_alive(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives() {
        assert!(is_alive(std::process::id()));
    }

    #[test]
    fn a_process_that_keeps_others_out_goes_on_as_it_was() {
        keep_others_out().unwrap();
        keep_others_out().unwrap();
        assert!(is_alive(std::process::id()));
        crate::user::User::me().unwrap();
    }
}
