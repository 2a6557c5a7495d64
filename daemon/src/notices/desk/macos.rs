//! The notification centre of macOS, by AppleScript: its own interface wants an app with a bundle.

use std::io;

use tokio::process::Command;

use super::program;
use crate::notices::notice::Notice;

/// Both texts come as arguments, so neither can be taken for a part of the script.
const SCRIPT: [&str; 3] =
    ["on run argv", "display notification (item 2 of argv) with title (item 1 of argv)", "end run"];

pub(super) fn show(notice: &Notice) -> io::Result<()> {
    let mut command = Command::new("/usr/bin/osascript");
    SCRIPT.iter().for_each(|line| {
        command.args(["-e", line]);
    });
    command.args([&notice.title, &notice.body]);
    program::run(command, &["HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "USER"])
}
