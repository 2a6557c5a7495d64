//! What a process becomes.

use std::{io, os::unix::process::CommandExt as _, process::Command};

pub(crate) fn become_it(command: &mut Command) -> io::Error {
    command.exec()
}
