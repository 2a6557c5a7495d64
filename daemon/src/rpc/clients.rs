//! Everybody who is connected by one door, and who has to go when there is no room for one more.
//!
//! A program that opens connections and leaves them must not keep others out: whoever has been silent
//! longest, and is owed nothing, is hung up on. Whoever was heard just now stays, so that nobody loses a
//! request that is on its way.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::{AbortHandle, Id, JoinSet},
    time::Instant,
};

/// Who was heard within this time stays.
const SILENT: Duration = Duration::from_secs(2);

/// Who has said nothing at all has so long to begin: a queue of such clients is gone through quickly.
const BEGINS_WITHIN: Duration = Duration::from_millis(250);

/// How long one waits before one looks again who has been silent.
const LOOK: Duration = Duration::from_millis(50);

/// Of all clients, one in so many goes at once, and so many at least: to look for them takes time.
const AT_ONCE: usize = 64;
const AT_LEAST: usize = 4;

/// When a client was last heard, and whether it is owed something. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pulse(Arc<Mutex<Beat>>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    heard: Instant,
    /// It had begun by then.
    spoke: bool,
    is_owed: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Beat { heard: Instant::now(), spoke: false, is_owed: false })))
    }
}

impl Pulse {
    /// It said something; whether it is owed an answer now.
    pub(crate) fn heard(&self, is_owed: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Beat { heard: Instant::now(), spoke: true, is_owed };
    }

    /// Since when it is silent, unless it is owed something.
    fn silent_since(&self) -> Option<Instant> {
        let Beat { heard, spoke, is_owed } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if spoke { SILENT } else { BEGINS_WITHIN };
        (!is_owed && heard.elapsed() >= patience).then_some(heard)
    }
}

/// See the module.
pub(crate) struct Clients {
    most: usize,
    tasks: JoinSet<()>,
    all: HashMap<Id, (AbortHandle, Pulse)>,
}

impl Clients {
    /// Nobody yet, and room for so many.
    pub(crate) fn with_room_for(most: usize) -> Self {
        Self { most: most.max(1), tasks: JoinSet::new(), all: HashMap::new() }
    }

    /// Waits until there is room for one more.
    pub(crate) async fn room(&mut self) {
        self.forget_those_who_left();
        while self.all.len() >= self.most {
            let goes = self.hang_up_on_the_silent();
            tokio::select! {
                left = self.tasks.join_next_with_id() => self.left(left),
                () = tokio::time::sleep(LOOK), if goes == 0 => {}
            }
            self.forget_those_who_left();
        }
    }

    /// Serves one more.
    pub(crate) fn welcome<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        serve: impl FnOnce(Pulse) -> F,
    ) {
        let pulse = Pulse::default();
        let task = self.tasks.spawn(serve(pulse.clone()));
        self.all.insert(task.id(), (task, pulse));
    }

    /// Waits until everybody has gone.
    pub(crate) async fn all_gone(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn forget_those_who_left(&mut self) {
        while let Some(left) = self.tasks.try_join_next_with_id() {
            self.left(Some(left));
        }
    }

    fn left(&mut self, left: Option<Result<(Id, ()), tokio::task::JoinError>>) {
        let id = match left {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return,
        };
        self.all.remove(&id);
    }

    /// How many were told to go.
    fn hang_up_on_the_silent(&self) -> usize {
        let mut silent: Vec<_> =
            self.all.values().filter_map(|(task, pulse)| Some((pulse.silent_since()?, task))).collect();
        silent.sort_unstable_by_key(|(since, _)| *since);
        let going = &silent[..silent.len().min(AT_LEAST.max(self.most / AT_ONCE))];
        going.iter().for_each(|(_, task)| task.abort());
        if !going.is_empty() {
            tracing::warn!(clients = self.all.len(), going = going.len(), "no room: the silent have to go");
        }
        going.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(most: usize) -> Clients {
        let mut clients = Clients::with_room_for(most);
        for _ in 0..most {
            clients.welcome(|_| std::future::pending());
        }
        clients
    }

    // Fault 45: connections that are opened and left do not keep others out.
    #[tokio::test(start_paused = true)]
    async fn f45_who_is_silent_makes_room_and_who_was_heard_does_not() {
        let mut clients = full(3);
        let pulses: Vec<Pulse> = clients.all.values().map(|(_, pulse)| pulse.clone()).collect();
        let stays = |clients: &Clients, pulse: &Pulse| {
            clients.all.values().any(|(_, other)| Arc::ptr_eq(&other.0, &pulse.0))
        };
        pulses[0].heard(true);
        pulses[1].heard(false);
        let start = Instant::now();
        clients.room().await;
        assert!((BEGINS_WITHIN..SILENT).contains(&start.elapsed()), "who never began goes first");
        assert!(stays(&clients, &pulses[0]) && stays(&clients, &pulses[1]));
        clients.welcome(|pulse| {
            pulse.heard(true);
            std::future::pending()
        });

        clients.room().await;
        assert!(start.elapsed() >= SILENT, "who was heard does not go before that");
        assert!(stays(&clients, &pulses[0]), "who is owed an answer gets it");
        assert!(!stays(&clients, &pulses[1]));
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_makes_room_at_once() {
        let mut clients = Clients::with_room_for(1);
        clients.welcome(|_| async {});
        let start = Instant::now();
        clients.room().await;
        assert!(clients.all.is_empty() && start.elapsed() < LOOK);
    }
}
