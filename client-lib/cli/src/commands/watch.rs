//! `sso status --watch`: redraws a terminal as events arrive and once a second for the countdown;
//! elsewhere it prints a line for each event.

use std::{
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use jiff::Timestamp;
use sso_agent_client::{
    blocking::{Agent, Events},
    proto::events::Event,
};

use super::status;
use crate::{
    exit::Failure,
    output::{self, Output, clean},
};

/// Cursor to the corner, and nothing below it.
const CLEAR: &str = "\x1b[H\x1b[J";
const TICK: Duration = Duration::from_secs(1);

pub(super) fn run(mut agent: Agent, host: Option<String>, output: &Output) -> Result<(), Failure> {
    // Subscribed before the first look, so that nothing happens unseen in between.
    let events = Agent::connect()?.subscribe([])?;
    if output.is_json() || !output::is_terminal() {
        let only = match &host {
            Some(host) => Some(status::fetch(&mut agent, Some(host))?.only_id()),
            None => None,
        };
        return print(events, only.as_deref(), output);
    }
    let (sender, happened) = mpsc::channel();
    std::thread::spawn(move || events.into_iter().try_for_each(|event| sender.send(event)));
    loop {
        let shown = status::fetch(&mut agent, host.as_deref())?;
        output.text(&format!("{CLEAR}{}", status::words(&shown, Timestamp::now())))?;
        match happened.recv_timeout(TICK) {
            Ok(Err(error)) => return Err(error.into()),
            Ok(Ok(_)) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn print(events: Events, only: Option<&str>, output: &Output) -> Result<(), Failure> {
    for event in events {
        let event = event?;
        if only.is_none_or(|id| event.session.as_deref() == Some(id)) {
            output.row(&event, || line(&event))?;
        }
    }
    Ok(())
}

fn line(event: &Event) -> String {
    let kind = serde_json::to_value(event.kind).unwrap_or_default();
    format!(
        "{} {} {}",
        event.at,
        kind.as_str().unwrap_or_default(),
        clean(event.session.as_deref().unwrap_or_default())
    )
}
