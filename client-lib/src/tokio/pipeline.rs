//! Many calls at once on one connection.
//!
//! The hard part is a caller that goes away in the middle: what it wrote must still be a whole line, and
//! its answer must not be taken for another's. So one task writes, one reads, and callers only wait.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use ::tokio::{
    io::AsyncWriteExt as _,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use interprocess::local_socket::tokio::Stream;
use serde::de::DeserializeOwned;
use sso_agent_proto::{
    lines::Lines,
    method::Call,
    rpc::{Id, Incoming},
};

use super::connection::{Connection, next_line};
use crate::{
    deadline::{Deadline, Over},
    wire::{self, Line, Trouble},
};

type Waiting = HashMap<u64, oneshot::Sender<Line>>;

/// A handle on the connection; it is closed when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Pipeline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    last_id: AtomicU64,
    outbox: mpsc::UnboundedSender<Line>,
    /// Those who wait for an answer; `None` once there are no more answers.
    waiting: Arc<Mutex<Option<Waiting>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Pipeline {
    pub(super) fn new(connection: Connection) -> Self {
        let Connection { stream, lines } = connection;
        let stream = Arc::new(stream);
        let waiting = Arc::new(Mutex::new(Some(Waiting::new())));
        let (outbox, lines_out) = mpsc::unbounded_channel();
        let tasks = [
            ::tokio::spawn(write(Arc::clone(&stream), lines_out)),
            ::tokio::spawn(read(stream, lines, Arc::clone(&waiting))),
        ];
        Self(Arc::new(Shared { last_id: AtomicU64::new(0), outbox, waiting, tasks }))
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.0.waiting).is_none()
    }

    #[cfg(test)]
    pub(super) fn hung_up(self) -> Self {
        self.0.tasks.iter().for_each(JoinHandle::abort);
        *lock(&self.0.waiting) = None;
        self
    }

    pub(super) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Trouble> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, answer) = oneshot::channel();
        lock(&self.0.waiting).as_mut().ok_or(Trouble::HungUp)?.insert(id, sender);
        let _forget = Forget { id, waiting: &self.0.waiting };
        self.0.outbox.send(wire::request(id, call)).map_err(|_| Trouble::HungUp)?;
        let line = match Deadline::of(call).left().map_err(|Over| Trouble::Late)? {
            None => answer.await,
            Some(left) => timeout(left, answer).await.map_err(|_| Trouble::Late)?,
        };
        let line = line.map_err(|_| Trouble::HungUp)?;
        wire::answer(&line, id, &mut |_| {})?.ok_or(Trouble::Nonsense("the agent sent an odd answer"))
    }
}

/// Takes a caller off the list, whether it has its answer or went away.
struct Forget<'a> {
    id: u64,
    waiting: &'a Mutex<Option<Waiting>>,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = lock(self.waiting).as_mut() {
            waiting.remove(&self.id);
        }
    }
}

async fn write(stream: Arc<Stream>, mut lines: mpsc::UnboundedReceiver<Line>) {
    while let Some(line) = lines.recv().await {
        if (&*stream).write_all(&line).await.is_err() {
            // The reader notices too, and tells those who wait.
            return;
        }
    }
}

async fn read(stream: Arc<Stream>, mut lines: Lines, waiting: Arc<Mutex<Option<Waiting>>>) {
    while let Ok(line) = next_line(&stream, &mut lines).await {
        let Some(Incoming::Reply(Id::Number(id), _)) = Incoming::parse(&line) else { continue };
        let caller = id.as_u64().and_then(|id| lock(&waiting).as_mut()?.remove(&id));
        if let Some(caller) = caller {
            // Fails when the caller went away just now.
            let _ = caller.send(line);
        }
    }
    // Dropping the senders tells everybody.
    *lock(&waiting) = None;
}

fn lock(waiting: &Mutex<Option<Waiting>>) -> std::sync::MutexGuard<'_, Option<Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
