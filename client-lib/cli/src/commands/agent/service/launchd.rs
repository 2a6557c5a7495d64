//! launchd: a launch agent of this user, whose sockets it listens at.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sso_agent_client::proto::places::{self, Places};
use sso_agent_os::user::User;

use super::{AGAIN, Installed, Standing, Written, elsewhere, files, plist};
use crate::{exit::Failure, output::clean};

const LABEL: &str = "com.github.sso-agent";

/// How long a launch agent may take to go, which has to be awaited before it can come back.
const GOING: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(100);

/// launchd, which is always there, in the domain of this user's desktop.
#[derive(Debug)]
pub(in crate::commands::agent) struct Manager {
    domain: String,
}

impl Manager {
    /// How it is told that it started the agent.
    pub(in crate::commands::agent) const BY: &str = "by launchd";

    fn find() -> Result<Self, Failure> {
        let me = User::me().map_err(|error| Failure::failed(format!("who are you? {error}"), "try again"))?;
        Ok(Self { domain: format!("gui/{me}") })
    }

    pub(in crate::commands::agent) fn in_charge() -> Option<Self> {
        if elsewhere().is_some() || !path().ok()?.exists() {
            return None;
        }
        Self::find().ok()
    }

    /// Makes it listen, and the agent run.
    pub(in crate::commands::agent) fn start(&self) -> Result<(), Failure> {
        if self.is_loaded() {
            return self.run(&["kickstart", &self.target()]);
        }
        socket_folder(&super::super::places()?)?;
        let path = path()?;
        let give_up = Instant::now() + GOING;
        loop {
            match self.run(&["bootstrap", &self.domain, &path.to_string_lossy()]) {
                // It may just be on its way out.
                Err(_) if !self.is_loaded() && Instant::now() < give_up && self.is_there() => {
                    std::thread::sleep(PAUSE);
                }
                Err(_) if self.is_loaded() => return Ok(()),
                outcome => return outcome,
            }
        }
    }

    /// Makes the agent end, and nobody listen.
    pub(in crate::commands::agent) fn stop(&self) -> Result<(), Failure> {
        match self.run(&["bootout", &self.target()]) {
            // It says so when the agent takes its time.
            Err(_) if !self.is_loaded() => Ok(()),
            outcome => outcome,
        }
    }

    /// It logs to the file in the state folder.
    #[expect(clippy::unused_self, reason = "other managers keep the log")]
    pub(in crate::commands::agent) fn log(&self, _: Option<usize>) -> Option<Command> {
        None
    }

    fn target(&self) -> String {
        format!("{}/{LABEL}", self.domain)
    }

    fn is_loaded(&self) -> bool {
        succeeds(&["print", &self.target()])
    }

    /// Whether this user has a desktop at all.
    fn is_there(&self) -> bool {
        succeeds(&["print", &self.domain])
    }

    fn run(&self, args: &[&str]) -> Result<(), Failure> {
        let what = format!("launchctl {}", args.join(" "));
        match launchctl().args(args).output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                let hint = if self.is_there() {
                    format!("see `launchctl print {}`", self.target())
                } else {
                    "log in at the desktop of this Mac; without one, commands start the agent".to_owned()
                };
                Err(Failure::failed(format!("`{what}` failed: {}", clean(said.trim())), hint))
            }
            Err(error) => Err(Failure::failed(format!("`{what}` cannot be run: {error}"), "see PATH")),
        }
    }
}

fn launchctl() -> Command {
    let mut command = Command::new("/bin/launchctl");
    command.stdin(Stdio::null());
    command
}

fn succeeds(args: &[&str]) -> bool {
    let quiet = launchctl().args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

pub(in crate::commands::agent) fn what_is_written() -> Result<Vec<Written>, Failure> {
    Ok(vec![Written { place: path()?.display().to_string(), text: text()? }])
}

pub(in crate::commands::agent) fn install() -> Result<Installed, Failure> {
    let (path, text, manager) = (path()?, text()?, Manager::find()?);
    let places = super::super::places()?;
    files::private_folder(&places.state)?;
    if manager.is_loaded() {
        // It goes on with what it has read before.
        manager.stop()?;
    }
    files::write(&path, &text)?;
    manager.start()?;
    let words = format!("Installed and loaded {LABEL} in {}", path.display());
    Ok(Installed { written: vec![path.display().to_string()], hardened: None, words })
}

pub(in crate::commands::agent) fn uninstall() -> Result<&'static str, Failure> {
    let manager = Manager::find()?;
    if manager.is_loaded() {
        manager.stop()?;
    }
    files::remove(&path()?)?;
    Ok("Removed the launch agent; the sessions are kept")
}

pub(super) fn standing() -> Option<Standing> {
    let Ok(found) = fs::read_to_string(path().ok()?) else { return Some(Standing::Absent) };
    if let Some(standing) = Standing::of_program(plist::program(&found).as_deref()) {
        return Some(standing);
    }
    let current = plist::program(&found).and_then(|program| Some(made(program, &Places::from_env().ok()?)));
    if current.is_none_or(|text| text != found) {
        return Some(Standing::of_another_version());
    }
    Some(match Manager::find() {
        Ok(manager) if manager.is_loaded() => {
            Standing::Well("the launch agent is installed, loaded and as this version writes it")
        }
        Ok(manager) if manager.is_there() => {
            Standing::odd("the launch agent is installed and not loaded", AGAIN)
        }
        Ok(_) | Err(_) => Standing::odd(
            "the launch agent is installed, but nobody is logged in at the desktop of this Mac",
            "start the agent with `sso agent start`",
        ),
    })
}

fn text() -> Result<String, Failure> {
    Ok(made(super::program()?, &super::super::places()?))
}

fn made(program: PathBuf, places: &Places) -> String {
    plist::text(&program, places, &places.state.join("agent.log"))
}

/// launchd makes sockets, and no folders.
fn socket_folder(places: &Places) -> Result<(), Failure> {
    let folders = [&places.socket, &places.http_socket].into_iter().filter_map(|socket| socket.parent());
    folders.into_iter().try_for_each(files::private_folder)
}

fn path() -> Result<PathBuf, Failure> {
    let home = places::home().ok_or_else(|| Failure::failed("this user has no home folder", "set HOME"))?;
    Ok(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}
