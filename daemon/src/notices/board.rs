//! When a notice is due, and for which sessions: one for each session until it is signed in to again, and
//! one for all that end at about the same time.

use std::{collections::BTreeSet, time::Duration};

use sso_agent_core::{
    time::{Deadline, Now},
    words::SessionId,
};
use sso_agent_proto::events::{Event, EventKind};

/// What ends together does so within this time.
pub(super) const GATHER: Duration = Duration::from_secs(2);

/// Nobody is told more often: what ends meanwhile is counted.
pub(super) const REST: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// The person knows of these.
    known: BTreeSet<SessionId>,
    waiting: BTreeSet<SessionId>,
    due: Option<Deadline>,
    quiet: Option<Deadline>,
}

impl Board {
    /// One for a person who knows that these are over.
    pub(super) fn knowing(over: BTreeSet<SessionId>) -> Self {
        Self { known: over, ..Self::default() }
    }

    /// Something happened.
    pub(super) fn hear(&mut self, event: &Event, now: Now) {
        let Some(session) = event.session.as_deref().map(SessionId::named) else { return };
        match event.kind {
            EventKind::SessionLoginRequired if session.is_web() => {}
            EventKind::SessionLoginRequired => self.is_over(session, now),
            EventKind::TokenRefreshed | EventKind::SessionAdded | EventKind::SessionRemoved => {
                self.known.remove(&session);
                self.waiting.remove(&session);
            }
            EventKind::SessionRetrying
            | EventKind::AgentLocked
            | EventKind::AgentUnlocked
            | EventKind::ConfigReloaded
            | EventKind::ConfigInvalid => {}
        }
    }

    /// Not everything was heard, and these are all that are over.
    pub(super) fn put_right(&mut self, over: BTreeSet<SessionId>, now: Now) {
        self.known.retain(|session| over.contains(session));
        self.waiting.retain(|session| over.contains(session));
        over.into_iter().for_each(|session| self.is_over(session, now));
    }

    /// How long until there is something to [`take`](Self::take).
    pub(super) fn wait(&self, now: Now) -> Option<Duration> {
        self.due.map(|due| due.left(now))
    }

    /// Whom the next notice is about, if it is due: the person knows of them from now on.
    pub(super) fn take(&mut self, now: Now) -> BTreeSet<SessionId> {
        if !self.due.is_some_and(|due| due.is_over(now)) {
            return BTreeSet::new();
        }
        self.due = None;
        let taken = std::mem::take(&mut self.waiting);
        if !taken.is_empty() {
            self.quiet = Some(now.steadily_after(REST));
            self.known.extend(taken.iter().cloned());
        }
        taken
    }

    fn is_over(&mut self, session: SessionId, now: Now) {
        if self.known.contains(&session) {
            return;
        }
        self.waiting.insert(session);
        let quiet = self.quiet.map_or(Duration::ZERO, |quiet| quiet.left(now));
        self.due.get_or_insert_with(|| now.steadily_after(quiet.max(GATHER)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Now {
        Now { steady: Duration::from_secs(second), wall: Duration::from_secs(1_000_000 + second) }
    }

    fn event(kind: EventKind, session: &str) -> Event {
        Event { kind, session: Some(session.to_owned()), at: jiff::Timestamp::UNIX_EPOCH }
    }

    fn ends(board: &mut Board, session: &str, second: u64) {
        board.hear(&event(EventKind::SessionLoginRequired, session), at(second));
    }

    fn taken(board: &mut Board, second: u64) -> Vec<String> {
        board.take(at(second)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_that_ends_is_told_of_once_until_it_is_signed_in_to_again() {
        let mut board = Board::default();
        assert_eq!(board.wait(at(0)), None);
        ends(&mut board, "a", 0);
        assert_eq!((board.wait(at(0)), taken(&mut board, 1)), (Some(GATHER), vec![]));
        assert_eq!(taken(&mut board, 2), ["a"]);
        ends(&mut board, "a", 3);
        assert_eq!(board.wait(at(3)), None);

        let again = [EventKind::SessionAdded, EventKind::TokenRefreshed, EventKind::SessionRemoved];
        for (kind, second) in again.into_iter().zip([100, 200, 300]) {
            board.hear(&event(kind, "a"), at(second));
            ends(&mut board, "a", second);
            assert_eq!(taken(&mut board, second + 2), ["a"], "{kind:?}");
        }
    }

    #[test]
    fn what_ends_together_is_one_notice_and_what_ends_soon_after_waits_for_the_next() {
        let mut board = Board::default();
        ends(&mut board, "a", 0);
        ends(&mut board, "b", 1);
        assert_eq!(taken(&mut board, 2), ["a", "b"]);
        ends(&mut board, "c", 3);
        ends(&mut board, "d", 20);
        assert_eq!((board.wait(at(20)), taken(&mut board, 31)), (Some(Duration::from_secs(12)), vec![]));
        assert_eq!(taken(&mut board, 32), ["c", "d"]);
    }

    #[test]
    fn who_signs_in_at_once_is_not_told() {
        let mut board = Board::default();
        ends(&mut board, "a", 0);
        board.hear(&event(EventKind::SessionAdded, "a"), at(1));
        assert_eq!(taken(&mut board, 2), Vec::<String>::new());
        ends(&mut board, "b", 3);
        assert_eq!(taken(&mut board, 5), ["b"], "nothing was shown that it had to keep a distance from");
    }

    #[test]
    fn users_of_web_apps_are_told_by_their_app() {
        let mut board = Board::default();
        ends(&mut board, "a#~0123", 0);
        assert_eq!(board.wait(at(0)), None);
    }

    #[test]
    fn what_was_missed_is_made_up_for() {
        let all = |ids: &[&str]| ids.iter().map(|id| SessionId::named(id)).collect::<BTreeSet<_>>();
        let mut board = Board::knowing(all(&["old", "back"]));
        ends(&mut board, "saved", 0);
        board.put_right(all(&["old", "new"]), at(1));
        assert_eq!(taken(&mut board, 2), ["new"]);
        ends(&mut board, "back", 40);
        assert_eq!(taken(&mut board, 42), ["back"]);
    }
}
