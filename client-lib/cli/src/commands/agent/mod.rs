//! `sso agent`: the service, by what the system has for it where that is installed, by hand elsewhere.

mod install;
mod logs;
mod rekey;
pub(super) mod service;

use std::time::{Duration, Instant};

use sso_agent_client::{
    Error, autostart,
    blocking::Agent,
    proto::{agent::Info, places::Places},
};

use self::service::Manager;
use crate::{
    args,
    exit::Failure,
    output::{Output, clean},
};

/// How long an agent may take to finish what is under way: an exchange with an issuer at the most.
const FINISHING: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(command: args::Agent, output: &Output) -> Result<(), Failure> {
    match command {
        args::Agent::Start => start(output),
        args::Agent::Stop => stop().and_then(|said| tell(said, output)),
        args::Agent::Restart => stop().and_then(|_| start(output)),
        args::Agent::Status => status(output),
        args::Agent::Install { print: true } => install::print(output),
        args::Agent::Install { print: false } => install::install(output),
        args::Agent::Uninstall => install::uninstall(output),
        args::Agent::Rekey { to } => rekey::rekey(to, output),
        args::Agent::Logs { follow } => logs::show(follow, output),
    }
}

fn start(output: &Output) -> Result<(), Failure> {
    if let Ok(info) = running() {
        return output.result(&info, || format!("The agent is running already (pid {})", info.pid));
    }
    let how = match Manager::in_charge() {
        Some(manager) => {
            manager.start()?;
            Manager::BY
        }
        None => {
            autostart::start(&places()?)?;
            "in the background"
        }
    };
    let info = running().map_err(|error| {
        Failure::failed(format!("the agent was started {how}, but: {error}"), "`sso agent logs` says why")
    })?;
    output.result(&info, || format!("Started the agent {how} (pid {})", info.pid))
}

/// Says whether there was one to stop.
fn stop() -> Result<&'static str, Failure> {
    let before = running().is_ok();
    let manager = Manager::in_charge();
    if let Some(manager) = &manager {
        manager.stop()?;
    }
    // One that was started by hand is none of the manager's.
    match Agent::connect_running() {
        Ok(mut agent) => {
            agent.shutdown()?;
            until_gone(&places()?)?;
            Ok("Stopped the agent")
        }
        Err(_) if before => Ok("Stopped the agent"),
        Err(_) => Ok("No agent was running"),
    }
}

fn until_gone(places: &Places) -> Result<(), Failure> {
    let give_up = Instant::now() + FINISHING;
    while autostart::is_there(places) {
        if Instant::now() > give_up {
            return Err(Failure::failed(
                "the agent was told to stop and still answers",
                "see what it does with `sso agent logs`",
            ));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn status(output: &Output) -> Result<(), Failure> {
    let (info, places) = (running()?, places()?);
    output.result(&info, || words(&info, &places))
}

fn words(info: &Info, places: &Places) -> String {
    let locked = if info.locked { ", locked" } else { "" };
    let sessions = match info.sessions {
        1 => "1 session".to_owned(),
        number => format!("{number} sessions"),
    };
    format!(
        "Running: version {}, pid {}, since {}, {sessions}{locked}\nsocket {}\nconfig {}\nstate  {}",
        clean(&info.version),
        info.pid,
        info.started_at,
        places.socket.display(),
        places.config.display(),
        places.state.display(),
    )
}

fn running() -> Result<Info, Error> {
    Agent::connect_running()?.info()
}

fn places() -> Result<Places, Error> {
    Ok(Places::from_env()?)
}

fn tell(said: &str, output: &Output) -> Result<(), Failure> {
    output.result(&serde_json::json!({ "message": said }), || said.to_owned())
}
