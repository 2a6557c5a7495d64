//! What Windows runs when this user logs on.

use std::path::{Path, PathBuf};

/// The command that starts the agent.
///
/// `sso` and not the agent itself, so that it starts as it does when a command needs it: without a console, with
/// its log, and with no more of the environment than it needs. A console shows for a moment. `conhost.exe
/// --headless` would spare that, but is documented nowhere, and malware is looked for by it; a task of the Task
/// Scheduler would, too, but only an administrator may tie one to a logon.
pub(super) fn text(sso: &Path) -> String {
    format!("\"{}\" agent start", sso.display())
}

/// The program in such a command.
pub(super) fn program(text: &str) -> Option<PathBuf> {
    let (program, _) = text.strip_prefix('"')?.split_once('"')?;
    Some(program.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_be_in_a_folder_with_spaces() {
        let sso = Path::new(r"C:\Program Files\sso\sso.exe");
        assert_eq!(text(sso), r#""C:\Program Files\sso\sso.exe" agent start"#);
        assert_eq!(program(&text(sso)).as_deref(), Some(sso));
        assert_eq!(program(r"C:\sso.exe agent start"), None);
    }
}
