//! The person hears on the desktop that a session needs a sign-in.
//!
//! A notice is a courtesy: it says no more than which session it is and what to type, it holds nobody up,
//! and a desktop that does not take it is no trouble. When one is due the `board` decides, what it says is
//! a [`Notice`], and a [`Desk`] shows it.

mod board;
mod desk;
mod notice;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, future::pending, sync::Arc};

use sso_agent_core::{
    agent::Agent,
    session::{Doing, Session},
    time::Now,
    words::SessionId,
};
use sso_agent_proto::events;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};

pub(crate) use self::desk::SystemDesk;
use self::{
    board::Board,
    desk::Desk,
    notice::{Notice, Whose},
};
use crate::{clock, config::Config, handle::Handle};

/// Listens to what happens, and has the person told.
pub(crate) struct Notices {
    handle: Handle,
    config: Arc<Config>,
    events: broadcast::Receiver<events::Event>,
    board: Board,
    now: fn() -> Now,
}

impl Notices {
    /// Listens from now on. Of what is over already nobody is told again: that was for the last agent to do.
    pub(crate) fn new(handle: Handle, config: Arc<Config>, agent: &Agent) -> Self {
        let events = handle.subscribe();
        let board = Board::knowing(over(agent, clock::now()));
        Self { handle, config, events, board, now: clock::now }
    }

    /// Shows notices on `desk` until it is called off.
    pub(crate) async fn run(mut self, desk: impl Desk) {
        let desk = Arc::new(desk);
        loop {
            let wait = self.board.wait((self.now)());
            let due = async {
                match wait {
                    Some(wait) => sleep(wait).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                heard = self.events.recv() => match heard {
                    Ok(event) => self.board.hear(&event, (self.now)()),
                    Err(RecvError::Lagged(_)) => self.look_again().await,
                    Err(RecvError::Closed) => return,
                },
                () = due => {
                    let ended = self.board.take((self.now)());
                    if let Some(notice) = self.about(ended).await {
                        show(desk.clone(), notice).await;
                    }
                }
            }
        }
    }

    /// Too much has happened at once to hear all of it.
    async fn look_again(&mut self) {
        if let Some(over) = self.handle.look(over).await {
            self.board.put_right(over, (self.now)());
        }
    }

    /// What there is to say of these: some may have been signed in to meanwhile.
    async fn about(&self, ended: BTreeSet<SessionId>) -> Option<Notice> {
        if ended.is_empty() || !self.config.known().settings.notifications {
            return None;
        }
        let look = move |agent: &Agent, now| {
            let sessions = ended.iter().filter_map(|id| agent.session(id));
            sessions
                .filter(|session| needs_person(session, now))
                .map(|session| Whose::of(session.about()))
                .collect()
        };
        let whose: Vec<Whose> = self.handle.look(look).await?;
        Notice::sign_in_needed(&whose)
    }
}

/// All that only the person can bring back.
fn over(agent: &Agent, now: Now) -> BTreeSet<SessionId> {
    let sessions = agent.sessions().filter(|session| needs_person(session, now));
    sessions.map(|session| session.about().id.clone()).collect()
}

/// A program signs in anew by itself when a token is asked for, and a web app's user at the app.
fn needs_person(session: &Session, now: Now) -> bool {
    let about = session.about();
    !about.id.is_web() && about.made_from.is_none() && session.doing(now) == Doing::LoginRequired
}

async fn show(desk: Arc<impl Desk>, notice: Notice) {
    match tokio::task::spawn_blocking(move || desk.show(&notice)).await {
        Ok(Ok(())) => tracing::debug!("notice shown"),
        Ok(Err(error)) => tracing::debug!(%error, "the desktop shows no notice"),
        Err(error) => tracing::debug!(%error, "the notice broke off"),
    }
}
