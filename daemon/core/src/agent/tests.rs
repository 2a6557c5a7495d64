use proptest::prelude::*;

use super::*;
use crate::{
    host::Host,
    login::{Flow, Server},
    refusal::OAuthError,
    words::{Label, Need},
};

mod paused;

fn at(steady: u64, set: i64) -> Now {
    let wall = 1_000_000u64.saturating_add(steady).saturating_add_signed(set);
    Now { steady: Duration::from_secs(steady), wall: Duration::from_secs(wall) }
}

fn host(n: u8) -> Host {
    Host::parse(&format!("h{n}.example"), None).unwrap()
}

fn lease(token: u64, now: Now, life: u64) -> Arc<Lease> {
    let lifetime = Duration::from_secs(life);
    Arc::new(Lease {
        access_token: "secret".into(),
        token_type: "Bearer".into(),
        token_id: token.to_string(),
        scopes: vec![],
        obtained: now,
        lifetime,
        expires: now.after(lifetime),
    })
}

fn signed_in(n: u8, label: &str, lease: Arc<Lease>) -> Box<SignedIn> {
    let (host, label) = (host(n), Label::parse(label).unwrap());
    let about = About {
        id: SessionId::of(&host, &label),
        issuer: host.url().to_owned(),
        host,
        label,
        client_id: "c".into(),
        user: None,
        scopes: vec![],
        made_from: None,
    };
    Box::new(SignedIn { about, renewable: Renewable::ByRefreshToken, lease })
}

fn plan(n: u8) -> Box<Plan> {
    Box::new(Plan {
        host: host(n),
        label: Label::default(),
        client_id: None,
        client_secret: None,
        scopes: vec![],
        server: Server::default(),
        flow: Flow::Browser { port: None },
        made_from: None,
        timeout: Duration::from_secs(300),
    })
}

fn agent_with(sessions: &[(u8, &str)]) -> Agent {
    let mut agent = Agent::new(1);
    for (n, label) in sessions {
        agent.handle(
            Event::SignedIn(LoginId(0), Ok(signed_in(*n, label, lease(0, at(0, 0), 3600)))),
            at(0, 0),
        );
    }
    agent
}

fn web_user(n: u8, key: &str, lease: Arc<Lease>) -> Event {
    let mut signed_in = signed_in(n, "", lease);
    signed_in.about.id = SessionId::web(&host(n), key);
    Event::Brought(signed_in)
}

#[test]
fn the_user_of_a_web_app_is_found_by_the_handle_alone() {
    let mut agent = agent_with(&[]);
    agent.handle(web_user(1, "0a", lease(0, at(0, 0), 3600)), at(0, 0));
    let id = SessionId::web(&host(1), "0a");
    let find = |target: Target| agent.find(&target);
    assert_eq!(find(Target::Web(id.clone())), Ok(id.clone()));
    assert!(matches!(find(Target::Session(id)), Err(Refusal::Denied { .. })));
    assert!(matches!(find(Target::Only), Err(Refusal::LoginRequired { .. })));
    assert!(matches!(find(Target::Host(host(1), Which::any())), Err(Refusal::LoginRequired { .. })));
    let other = SessionId::web(&host(1), "0b");
    assert!(matches!(find(Target::Web(other)), Err(Refusal::ConsentRequired { .. })));
}

#[test]
fn a_web_session_that_nobody_uses_is_revoked_and_forgotten() {
    let mut agent = agent_with(&[(1, "")]);
    agent.handle(web_user(1, "0a", lease(0, at(0, 0), 3600)), at(0, 0));
    let id = SessionId::web(&host(1), "0a");
    let effects = agent.handle(Event::Abandoned(vec![id.clone(), SessionId::named("gone")]), at(9, 0));
    assert!(matches!(&effects[0], Effect::Withdraw(of) if *of == id));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Forget(of, None) if *of == id)));
    assert_eq!((agent.sessions().len(), agent.web_sessions().len()), (1, 0));
}

#[test]
fn many_that_are_due_at_once_are_renewed_one_after_the_other_and_whoever_asks_at_once() {
    let mut agent = agent_with(&[]);
    for n in 0..1200 {
        agent.handle(web_user(1, &format!("{n:04}"), lease(0, at(0, 0), 3600)), at(0, 0));
    }
    let renewals = |effects: &[Effect]| effects.iter().filter(|e| matches!(e, Effect::Renew(..))).count();
    let late = at(3590, 0);
    let first = renewals(&agent.handle(Event::Woke, late));
    assert!((1..=20).contains(&first), "{first}");
    let target = Target::Web(SessionId::web(&host(1), "1199"));
    let waiter = Waiter {
        ticket: Ticket(7),
        need: Need { min_valid: Duration::from_secs(60), ..Need::default() },
        give_up: late.after(Duration::from_secs(30)),
    };
    assert_eq!(renewals(&agent.handle(Event::Asked(target, waiter), late)), 1, "nobody waits in line");
    let mut all = first + 1;
    for second in 1..28 {
        let begun = renewals(&agent.handle(Event::Woke, at(3590 + second, 0)));
        assert!(begun <= 51, "{begun} in a second");
        all += begun;
    }
    assert_eq!(all, 1200, "and everybody has a turn");
}

#[test]
fn a_session_is_found_by_host_by_label_and_when_it_is_the_only_one() {
    let agent = agent_with(&[(1, ""), (1, "work"), (2, "work"), (3, "a"), (3, "b")]);
    let label = |text: &str| Label::parse(text).unwrap();
    let find = |target: Target| agent.find(&target).map(|id| id.to_string());
    assert_eq!(find(Target::Host(host(1), Which::any())), Ok("h1.example".into()));
    assert_eq!(find(Target::Host(host(1), Which::Labelled(label("work")))), Ok("h1.example#work".into()));
    assert_eq!(find(Target::Host(host(2), Which::any())), Ok("h2.example#work".into()));
    assert!(
        matches!(find(Target::Host(host(3), Which::any())), Err(Refusal::Ambiguous { sessions, .. }) if sessions.len() == 2)
    );
    assert!(matches!(find(Target::Host(host(9), Which::any())), Err(Refusal::LoginRequired { .. })));
    assert!(matches!(
        find(Target::Host(host(1), Which::Labelled(label("x")))),
        Err(Refusal::LoginRequired { .. })
    ));
    assert!(matches!(find(Target::Only), Err(Refusal::Ambiguous { .. })));
    assert!(matches!(find(Target::Session(SessionId::named("x"))), Err(Refusal::Unknown { .. })));
    assert_eq!(
        agent_with(&[(1, "x")]).find(&Target::Only).map(|id| id.to_string()),
        Ok("h1.example#x".into())
    );
    assert!(matches!(agent_with(&[]).find(&Target::Only), Err(Refusal::LoginRequired { .. })));
}

#[test]
fn a_profile_has_its_own_session_or_the_hosts_and_never_that_of_another() {
    let find = |agent: &Agent, name: &str| {
        let which = Which::OfProfile(Label::parse(name).unwrap());
        agent.find(&Target::Host(host(1), which)).map(|id| id.to_string())
    };
    let agent = agent_with(&[(1, ""), (1, "a")]);
    assert_eq!(find(&agent, "a"), Ok("h1.example#a".into()));
    assert_eq!(find(&agent, "b"), Ok("h1.example".into()), "one sign-in at a host serves all its profiles");
    assert!(matches!(find(&agent_with(&[(1, "a")]), "b"), Err(Refusal::LoginRequired { .. })));
}

#[test]
fn a_host_of_several_profiles_does_not_mean_the_one_that_happens_to_be_signed_in() {
    let profiles = vec!["a".to_owned(), "b".to_owned()];
    let find = |agent: &Agent| {
        agent.find(&Target::Host(host(1), Which::Any { profiles: profiles.clone() })).map(|id| id.to_string())
    };
    let refused = find(&agent_with(&[(1, "a")]));
    assert!(matches!(refused, Err(Refusal::Ambiguous { profiles: named, .. }) if named == profiles));
    assert_eq!(find(&agent_with(&[(1, "a"), (1, "")])), Ok("h1.example".into()));
    assert!(matches!(find(&agent_with(&[])), Err(Refusal::LoginRequired { .. })));
}

#[test]
fn after_signing_out_the_token_is_withdrawn_before_anybody_hears_of_it() {
    let mut agent = agent_with(&[(1, "")]);
    let effects = agent.handle(Event::LogoutAsked(Target::Only, Ticket(1)), at(1, 0));
    assert!(matches!(effects[0], Effect::Withdraw(_)));
    assert!(matches!(effects[1], Effect::Forget(_, Some(Ticket(1)))));
    assert_eq!(agent.sessions().len(), 0);
    assert!(agent.wake_at(at(1, 0)).is_none());
    let again = agent.handle(Event::LogoutAsked(Target::Host(host(1), Which::any()), Ticket(2)), at(1, 0));
    assert!(matches!(&again[..], [Effect::Reply(_, Answer::Refused(Refusal::Unknown { .. }))]));
}

#[test]
fn what_a_program_signed_in_with_goes_when_it_is_written_nowhere_any_more() {
    let mut agent = agent_with(&[(1, "")]);
    for made_from in ["old", "kept"] {
        let mut program = signed_in(1, made_from, lease(0, at(0, 0), 3600));
        program.about.made_from = Some(made_from.to_owned());
        agent.handle(Event::SignedIn(LoginId(0), Ok(program)), at(0, 0));
    }
    let of = |made_from: &str| Which::OfMachine {
        label: Label::parse(made_from).unwrap(),
        made_from: made_from.to_owned(),
    };
    let find = |agent: &Agent, made_from: &str| agent.find(&Target::Host(host(1), of(made_from)));
    let person = agent.find(&Target::Host(host(1), Which::OfProfile(Label::parse("kept").unwrap()))).unwrap();
    assert_eq!(person.as_str(), "h1.example", "a person's profile never means a program's session");
    assert!(find(&agent, "old").is_ok() && find(&agent, "kept").is_ok());
    let any = agent.find(&Target::Host(host(1), Which::any())).unwrap();
    assert_eq!(any.as_str(), "h1.example", "a program's session is for those who name its profile");

    let effects = agent.handle(Event::SettingsChanged(["kept".to_owned()].into()), at(1, 0));
    assert!(
        matches!(&effects[..], [Effect::Withdraw(_), Effect::Forget(_, None), Effect::Tell(..)]),
        "{effects:?}"
    );
    assert!(find(&agent, "old").is_err() && find(&agent, "kept").is_ok());
    assert_eq!(agent.sessions().len(), 2, "persons are none of its business");
}

#[test]
fn a_sign_in_that_ends_after_its_session_was_signed_out_brings_nothing_back() {
    let mut agent = agent_with(&[(1, "")]);
    let began = agent.handle(Event::LoginAsked(plan(1), Ticket(7)), at(1, 0));
    let [Effect::SignIn(id, _)] = &began[..] else { panic!("{began:?}") };
    agent.handle(Event::Stepped(*id, Step::Exchanging), at(2, 0));
    agent.handle(Event::LogoutAsked(Target::Only, Ticket(8)), at(3, 0));
    let late = agent.handle(Event::SignedIn(*id, Ok(signed_in(1, "", lease(0, at(3, 0), 60)))), at(4, 0));
    assert!(matches!(&late[..], [Effect::Forget(_, None), Effect::Reply(..)]), "{late:?}");
    assert_eq!(agent.sessions().len(), 0);
}

#[test]
fn nor_does_one_that_nobody_watches_any_more() {
    let mut agent = agent_with(&[(1, "")]);
    let began = agent.handle(Event::LoginAsked(plan(1), Ticket(7)), at(1, 0));
    let [Effect::SignIn(id, _)] = &began[..] else { panic!("{began:?}") };
    agent.handle(Event::Stepped(*id, Step::Exchanging), at(2, 0));
    assert!(agent.handle(Event::HungUp(Ticket(7)), at(2, 0)).is_empty(), "its code is spent");
    agent.handle(Event::LogoutAsked(Target::Only, Ticket(8)), at(3, 0));
    let late = agent.handle(Event::SignedIn(*id, Ok(signed_in(1, "", lease(0, at(3, 0), 60)))), at(4, 0));
    assert!(matches!(&late[..], [Effect::Forget(_, None)]), "{late:?}");
    assert_eq!(agent.sessions().len(), 0);
}

#[test]
fn a_program_whose_settings_are_gone_is_not_taken_in_when_its_sign_in_ends() {
    let mut agent = agent_with(&[]);
    agent.handle(Event::SettingsChanged(["new".to_owned()].into()), at(0, 0));
    let mut program = signed_in(1, "ci", lease(0, at(0, 0), 60));
    program.about.made_from = Some("old".to_owned());
    let effects = agent.handle(Event::SignedIn(LoginId(9), Ok(program)), at(1, 0));
    assert!(matches!(&effects[..], [Effect::Forget(_, None)]), "{effects:?}");
    assert_eq!(agent.sessions().len(), 0);
}

#[test]
fn a_clock_that_was_set_wakes_everybody() {
    let mut agent = agent_with(&[(1, "")]);
    assert!(agent.handle(Event::Woke, at(10, 0)).is_empty());
    let effects = agent.handle(Event::Woke, at(11, 7200));
    assert!(matches!(&effects[..], [Effect::Renew(..)]));
}

#[test]
fn a_sign_in_that_nobody_waits_for_is_called_off_but_what_it_brought_is_kept() {
    let mut agent = Agent::new(1);
    let begun = agent.handle(Event::LoginAsked(plan(1), Ticket(1)), at(0, 0));
    let [Effect::SignIn(id, _)] = begun[..] else { panic!("{begun:?}") };
    let effects = agent.handle(Event::HungUp(Ticket(1)), at(1, 0));
    assert!(matches!(effects[..], [Effect::CallOff(called_off)] if called_off == id));
    agent.handle(Event::SignedIn(id, Ok(signed_in(1, "", lease(1, at(1, 0), 3600)))), at(1, 0));
    assert_eq!(agent.sessions().len(), 1);
}

#[test]
fn every_watcher_gets_a_link_of_its_own() {
    let mut agent = Agent::new(1);
    let begun = agent.handle(Event::LoginAsked(plan(1), Ticket(1)), at(0, 0));
    let [Effect::SignIn(id, _)] = begun[..] else { panic!("{begun:?}") };
    assert!(agent.handle(Event::LoginAsked(plan(1), Ticket(2)), at(0, 0)).is_empty());
    let invited = agent.handle(Event::Stepped(id, Step::Authorize), at(0, 0));
    assert!(matches!(invited[..], [Effect::Invite(_, Ticket(1)), Effect::Invite(_, Ticket(2))]));
    let late = agent.handle(Event::LoginAsked(plan(1), Ticket(3)), at(0, 0));
    assert!(matches!(late[..], [Effect::Invite(_, Ticket(3))]));
}

/// One thing that a world does to the agent.
#[derive(Debug, Clone)]
enum Move {
    Ask { host: u8, min_valid: u64, fresh: bool, wait: u64 },
    Report(Outcome),
    Sleep(u64),
    SetClock(i64),
    HangUp(usize),
    SignIn(u8, u64),
    SignOut(u8),
}

#[derive(Debug, Clone)]
enum Outcome {
    Granted(u64),
    Unreachable(Option<u64>),
    Rejected,
    Refused,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let outcome = prop_oneof![
        4 => (1u64..4000).prop_map(Outcome::Granted),
        2 => proptest::option::of(0u64..100).prop_map(Outcome::Unreachable),
        1 => Just(Outcome::Rejected),
        1 => Just(Outcome::Refused),
    ];
    let one = prop_oneof![
        6 => (0u8..3, 0u64..120, any::<bool>(), 0u64..60)
            .prop_map(|(host, min_valid, fresh, wait)| Move::Ask { host, min_valid, fresh, wait }),
        5 => outcome.prop_map(Move::Report),
        5 => (0u64..29).prop_map(Move::Sleep),
        2 => (0u64..5000).prop_map(Move::Sleep),
        1 => (-90_000i64..90_000).prop_map(Move::SetClock),
        1 => (0usize..9).prop_map(Move::HangUp),
        1 => (0u8..3, 1u64..4000).prop_map(|(n, life)| Move::SignIn(n, life)),
        1 => (0u8..3).prop_map(Move::SignOut),
    ];
    proptest::collection::vec(one, 1..120)
}

/// The daemon around the agent, as far as the invariants of the crate need one.
struct World {
    agent: Agent,
    steady: u64,
    set: i64,
    tickets: u64,
    waiting: BTreeMap<Ticket, Need>,
    renewing: Vec<(SessionId, Attempt)>,
    offered: BTreeMap<SessionId, String>,
}

impl World {
    fn now(&self) -> Now {
        at(self.steady, self.set)
    }

    fn handle(&mut self, event: Event) -> Result<(), TestCaseError> {
        let now = self.now();
        for effect in self.agent.handle(event, now) {
            match effect {
                Effect::Offer(id, lease) => {
                    self.offered.insert(id, lease.token_id.clone());
                }
                Effect::Withdraw(id) => {
                    self.offered.remove(&id);
                }
                Effect::Renew(id, attempt) => {
                    let under_way = self.renewing.iter().any(|(session, _)| *session == id);
                    prop_assert!(!under_way, "two renewals of {} at once", id);
                    self.renewing.push((id, attempt));
                }
                Effect::Reply(tickets, Answer::Token(id, lease)) => {
                    prop_assert_eq!(
                        self.offered.get(&id),
                        Some(&lease.token_id),
                        "answered before it was offered"
                    );
                    for ticket in tickets {
                        let need = self.waiting.remove(&ticket);
                        prop_assert!(need.is_some_and(|need| need.is_nearly_met_by(&lease, now)));
                    }
                }
                Effect::Reply(tickets, Answer::Refused(_) | Answer::SignedIn(_)) => {
                    for ticket in tickets {
                        prop_assert!(self.waiting.remove(&ticket).is_some(), "answered twice, or nobody");
                    }
                }
                Effect::SignIn(..) | Effect::Invite(..) | Effect::Progress(..) | Effect::CallOff(_) => {}
                Effect::Forget(id, _) => self.renewing.retain(|(session, _)| *session != id),
                Effect::Tell(..) => {}
            }
        }
        Ok(())
    }

    /// Renewals report before the agent gives them up, as the daemon's own deadline sees to.
    fn report(&mut self, outcome: &Outcome) -> Result<(), TestCaseError> {
        if self.renewing.is_empty() {
            return Ok(());
        }
        let (id, attempt) = self.renewing.remove(0);
        let said = |error: &str| OAuthError { error: error.into(), description: None };
        let outcome = match outcome {
            Outcome::Granted(life) => Ok(lease(self.steady + attempt.0 * 1_000_000, self.now(), *life)),
            Outcome::Unreachable(after) => {
                Err(RenewError::Unreachable { why: "x".into(), retry_after: after.map(Duration::from_secs) })
            }
            Outcome::Rejected => Err(RenewError::Rejected(said("invalid_grant"))),
            Outcome::Refused => Err(RenewError::Refused(said("invalid_client"))),
        };
        self.handle(Event::Renewed(id, attempt, outcome))
    }

    fn sleep(&mut self, seconds: u64) -> Result<(), TestCaseError> {
        while !self.renewing.is_empty() {
            self.report(&Outcome::Unreachable(None))?;
        }
        self.steady += seconds;
        self.handle(Event::Woke)
    }

    fn step(&mut self, step: Move) -> Result<(), TestCaseError> {
        match step {
            Move::Ask { host: n, min_valid, fresh, wait } => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                let min_valid = Duration::from_secs(min_valid);
                let required = if fresh { Duration::ZERO } else { min_valid };
                let youth = fresh.then_some(Duration::from_secs(30));
                let need = Need { min_valid, required, youth, not: None };
                self.waiting.insert(ticket, need.clone());
                let waiter = Waiter { ticket, need, give_up: self.now().after(Duration::from_secs(wait)) };
                self.handle(Event::Asked(Target::Host(host(n), Which::any()), waiter))
            }
            Move::Report(outcome) => self.report(&outcome),
            Move::Sleep(seconds) => self.sleep(seconds),
            Move::SetClock(by) => {
                self.set = self.set.saturating_add(by);
                self.handle(Event::Woke)
            }
            Move::HangUp(n) => match self.waiting.keys().nth(n).copied() {
                Some(ticket) => {
                    self.waiting.remove(&ticket);
                    self.handle(Event::HungUp(ticket))
                }
                None => Ok(()),
            },
            Move::SignIn(n, life) => {
                let lease = lease(self.steady, self.now(), life);
                self.handle(Event::SignedIn(LoginId(0), Ok(signed_in(n, "", lease))))?;
                Ok(())
            }
            Move::SignOut(n) => {
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, Need::default());
                self.handle(Event::LogoutAsked(Target::Host(host(n), Which::any()), ticket))?;
                self.waiting.remove(&ticket);
                Ok(())
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_the_invariants_hold_and_nobody_waits_for_ever(moves in moves()) {
        let mut world = World {
            agent: Agent::new(7),
            steady: 0,
            set: 0,
            tickets: 0,
            waiting: BTreeMap::new(),
            renewing: Vec::new(),
            offered: BTreeMap::new(),
        };
        for step in moves {
            world.step(step)?;
        }
        for _ in 0..4 {
            world.sleep(61)?;
        }
        prop_assert!(world.waiting.is_empty(), "still waiting: {:?}", world.waiting);
    }
}
