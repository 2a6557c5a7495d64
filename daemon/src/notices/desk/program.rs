//! A program that shows a notice for us: it hears nothing from us but its arguments, and does not outstay.

use std::{env, io, process::Stdio, time::Duration};

use tokio::{process::Command, runtime, time::timeout};

/// PowerShell takes seconds to start on a machine that is busy; nobody waits for it.
const DEADLINE: Duration = Duration::from_secs(10);

/// Runs it with nothing of our environment but these variables, beside those that it was given.
pub(super) fn run(command: Command, environment: &[&str]) -> io::Result<()> {
    within(DEADLINE, command, environment)
}

fn within(deadline: Duration, mut command: Command, environment: &[&str]) -> io::Result<()> {
    let given: Vec<_> = command
        .as_std()
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let passed = environment.iter().filter_map(|name| Some((name, env::var_os(name)?)));
    command.env_clear().envs(passed).envs(given);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async { timeout(deadline, async { command.spawn()?.wait().await }).await });
    runtime.shutdown_background();
    let status = ended.map_err(io::Error::other)??;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("it failed: {status}"))) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn it_hears_what_it_is_given_and_nothing_else_of_ours() {
        let mut command = sh(r#"[ "$OWN" = mine ] && [ -n "$PATH" ] && [ -z "$CARGO_MANIFEST_DIR" ]"#);
        command.env("OWN", "mine");
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        run(command, &["PATH"]).unwrap();
        assert!(run(sh("exit 3"), &[]).unwrap_err().to_string().contains('3'));
        assert!(run(Command::new("/nowhere/program"), &[]).is_err());
    }

    #[test]
    fn one_that_hangs_is_given_up() {
        let error = within(Duration::from_millis(1), sh("exec sleep 60"), &["PATH"]).unwrap_err();
        assert!(error.to_string().contains("elapsed"), "{error}");
    }
}
