//! What a process owes its secrets before it has any.

use std::{io, process::Command};

use crate::system::{process as system, successor};

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

/// Whether a process of that number lives; yes where that cannot be told.
pub fn is_alive(pid: u32) -> bool {
    system::is_alive(pid)
}

/// Keeps what we start from holding our input and output open, unless it is given them: Windows passes on
/// whatever of ours was passed on to us.
///
/// # Errors
/// The system's.
pub fn keep_own_streams() -> io::Result<()> {
    system::keep_own_streams()
}

/// Becomes another program, whose input, output, signals and exit code are its own. Returns only with the reason
/// why that was not to be.
///
/// Windows knows nothing of the kind: there it is a child that gets Ctrl-C in our place, whose exit code becomes
/// ours, whatever it is, and which ends when somebody ends us.
pub fn become_it(command: &mut Command) -> io::Error {
    successor::become_it(command)
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
