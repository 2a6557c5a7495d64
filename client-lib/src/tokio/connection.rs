//! One connection, read and written in turn.

use ::tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::spawn_blocking,
    time::timeout,
};
use interprocess::local_socket::tokio::Stream;
use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use sso_agent_proto::{lines::Lines, method::Call, places::Places, session::Step};

use crate::{
    Error, Result,
    autostart::{self, Route},
    deadline::{Deadline, Over},
    stream::{Shut, open_async},
    wire::{self, Line, Trouble},
};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: Stream,
    pub(super) lines: Lines,
}

impl Connection {
    pub(super) async fn open(route: &Route) -> Result<Self> {
        let (Route::Own { places: Places { socket, .. }, .. } | Route::Given(socket)) = route;
        let stream = match (open_async(socket).await, route) {
            (Err(Shut::Empty), Route::Own { places, start: true }) => {
                let places = places.clone();
                spawn_blocking(move || autostart::start(&places))
                    .await
                    .map_err(|_| Error::unreachable("the runtime is stopping", "try again later"))??;
                open_async(socket).await
            }
            (other, _) => other,
        };
        match stream {
            Ok(stream) => Ok(Self { stream, lines: Lines::default() }),
            Err(Shut::Empty) => Err(Error::nobody(socket)),
            Err(Shut::Failed(error)) => Err(error),
        }
    }

    /// Makes the first call on this connection.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        call: &Call,
        on_step: &mut dyn FnMut(Step),
    ) -> std::result::Result<T, Trouble> {
        let (id, deadline) = (1, Deadline::of(call));
        self.stream.write_all(&wire::request(id, call)).await?;
        loop {
            let line = self.next(deadline).await?;
            if let Some(answer) = wire::answer(&line, id, on_step)? {
                return Ok(answer);
            }
        }
    }

    pub(super) async fn next(&mut self, deadline: Deadline) -> std::result::Result<Line, Trouble> {
        let next = next_line(&self.stream, &mut self.lines);
        match deadline.left().map_err(|Over| Trouble::Late)? {
            None => next.await,
            Some(left) => timeout(left, next).await.map_err(|_| Trouble::Late)?,
        }
    }
}

pub(super) async fn next_line(mut stream: &Stream, lines: &mut Lines) -> std::result::Result<Line, Trouble> {
    let mut buffer = Zeroizing::new([0; 4096]);
    loop {
        if let Some(line) = lines.take() {
            return Ok(Zeroizing::new(line.to_vec()));
        }
        match stream.read(&mut *buffer).await? {
            0 => return Err(Trouble::HungUp),
            length => lines
                .push(&buffer[..length])
                .map_err(|_| Trouble::Nonsense("the agent sent a message that is too long"))?,
        }
    }
}
