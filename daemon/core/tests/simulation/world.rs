//! The machine, the daemon and everybody around it, as far as the core can tell.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use sso_agent_core::{
    agent::{Agent, SignedIn},
    host::Host,
    login::LoginId,
    session::{About, Waiter},
    time::Now,
    words::{Attempt, Label, Lease, Renewable, SessionId, Ticket},
};

use crate::{
    issuer::{Issuer, Tokens},
    jobs::{Job, Login},
    random::Random,
};
use std::sync::Arc;

/// Where the wall clock begins: 2033.
const EPOCH_MS: i128 = 2_000_000_000_000;

/// Nobody naps for longer.
pub(crate) const NAP: Duration = Duration::from_secs(30);

/// Issuers round lives down when they begin, so this much of each is not used.
const ROUNDED: Duration = Duration::from_secs(1);

/// What the store has of a session.
#[derive(Debug, Clone)]
pub(crate) struct Rec {
    pub(crate) about: About,
    pub(crate) renewable: Renewable,
    pub(crate) refresh: Option<u64>,
    pub(crate) lease: Option<Stored>,
    pub(crate) ended: Option<String>,
}

/// A lease on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) access: u64,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) boot: u64,
    pub(crate) steady: u64,
}

/// What was counted.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) asked: u64,
    pub(crate) tokens: u64,
    pub(crate) refused: u64,
    pub(crate) refreshes: u64,
    pub(crate) replays: u64,
    pub(crate) lost_answers: u64,
    pub(crate) kills: u64,
    pub(crate) clock_steps: u64,
    pub(crate) sleeps: u64,
    pub(crate) sign_ins: u64,
    pub(crate) sign_outs: u64,
    pub(crate) full_disks: u64,
    pub(crate) wakes: u64,
    pub(crate) murky: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.events, other.events),
            (&mut self.asked, other.asked),
            (&mut self.tokens, other.tokens),
            (&mut self.refused, other.refused),
            (&mut self.refreshes, other.refreshes),
            (&mut self.replays, other.replays),
            (&mut self.lost_answers, other.lost_answers),
            (&mut self.kills, other.kills),
            (&mut self.clock_steps, other.clock_steps),
            (&mut self.sleeps, other.sleeps),
            (&mut self.sign_ins, other.sign_ins),
            (&mut self.sign_outs, other.sign_outs),
            (&mut self.full_disks, other.full_disks),
            (&mut self.wakes, other.wakes),
            (&mut self.murky, other.murky),
        ];
        pairs.into_iter().for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// See the module.
pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) tell: bool,
    pub(crate) tally: Tally,
    /// True time.
    pub(crate) real: Duration,
    /// When the machine started, and how often it has.
    pub(crate) booted: Duration,
    pub(crate) boot: u64,
    /// By how much the wall clock was set, in milliseconds.
    pub(crate) set: i128,
    pub(crate) agent: Agent,
    /// Which run of the agent it is: reports to an earlier one reach nobody.
    pub(crate) run: u64,
    pub(crate) next_nap: Duration,
    pub(crate) store: BTreeMap<SessionId, Rec>,
    /// The disk takes nothing until then.
    pub(crate) full_until: Duration,
    /// Banked nowhere yet: in the memory of whoever spent it.
    pub(crate) held: BTreeMap<SessionId, Rec>,
    pub(crate) issuer: Issuer,
    pub(crate) turns: BTreeMap<SessionId, VecDeque<Job>>,
    pub(crate) logins: BTreeMap<LoginId, Login>,
    pub(crate) tickets: u64,
    pub(crate) waiting: BTreeMap<Ticket, Waiter>,
    pub(crate) watching: BTreeSet<Ticket>,
    pub(crate) leaving: BTreeMap<Ticket, SessionId>,
    pub(crate) offered: BTreeMap<SessionId, Arc<Lease>>,
    pub(crate) expected: BTreeMap<SessionId, Expected>,
    /// Tokens that nobody can know to be over: the machine was started anew, and its clock was set back meanwhile.
    pub(crate) murky: BTreeSet<u64>,
    pub(crate) idle_wakes: u32,
}

/// What the agent may do next for a session.
#[derive(Debug, Default, Clone)]
pub(crate) struct Expected {
    /// The renewal under way, and until when it is the only one, on the steady clock.
    pub(crate) renewing: Option<(Attempt, Duration)>,
    /// One that was given up, perhaps, before somebody signed in anew.
    pub(crate) unsure: Option<Attempt>,
    /// No renewal begins before, on the steady clock.
    pub(crate) not_before: Duration,
    pub(crate) failures: u32,
    /// Whether only a sign-in helps.
    pub(crate) over: bool,
    /// Renewals that were due by no clock that was never set.
    pub(crate) extra: u64,
    /// What explains those: clocks that were set, restarts.
    pub(crate) steps: u64,
    /// Somebody asked for more than there was.
    pub(crate) pressed: bool,
    pub(crate) fresh_at: Duration,
    pub(crate) life: Duration,
}

impl World {
    /// Runs one schedule from its beginning to its end.
    pub(crate) fn run(seed: u64, tell: bool) -> Tally {
        let mut random = Random::seeded(seed);
        let issuer = Issuer::new(&mut random);
        let real = Duration::from_secs(1000);
        let mut world = Self {
            tell,
            tally: Tally::default(),
            real,
            booted: random.ms(0, 900_000),
            boot: 1,
            set: 0,
            agent: Agent::new(seed),
            run: 1,
            next_nap: real + NAP,
            store: BTreeMap::new(),
            full_until: Duration::ZERO,
            held: BTreeMap::new(),
            issuer,
            turns: BTreeMap::new(),
            logins: BTreeMap::new(),
            tickets: 0,
            waiting: BTreeMap::new(),
            watching: BTreeSet::new(),
            leaving: BTreeMap::new(),
            offered: BTreeMap::new(),
            expected: BTreeMap::new(),
            murky: BTreeSet::new(),
            idle_wakes: 0,
            random,
        };
        world.live();
        world.tally.refreshes = world.issuer.refreshes;
        world.tally.replays = world.issuer.replays;
        world.tally
    }

    /// What both clocks say.
    pub(crate) fn now(&self) -> Now {
        let wall = (EPOCH_MS + self.real.as_millis() as i128 + self.set).max(0);
        let wall = u64::try_from(wall).unwrap_or(u64::MAX);
        Now { steady: self.real - self.booted, wall: Duration::from_millis(wall) }
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.tell {
            let now = self.now();
            println!(
                "{:>12.3} steady {:.3} wall {:.3}: {}",
                self.real.as_secs_f64(),
                now.steady.as_secs_f64(),
                now.wall.as_secs_f64(),
                what()
            );
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(crate) fn disk_is_full(&self) -> bool {
        self.real < self.full_until
    }
}

/// The session of somebody: 0 to 3 persons, 4 a program, 5 a web app's user, 6 one without a refresh token.
pub(crate) fn about(who: u64) -> (About, Renewable) {
    let host = Host::parse(&format!("h{who}.example"), None).expect("a host");
    let (id, made_from, renewable) = match who {
        4 => (SessionId::of(&host, &Label::default()), Some("m1".to_owned()), Renewable::ByCredentials),
        5 => (SessionId::web(&host, "0a"), None, Renewable::ByRefreshToken),
        6 => (SessionId::of(&host, &Label::default()), None, Renewable::Never),
        _ => (SessionId::of(&host, &Label::default()), None, Renewable::ByRefreshToken),
    };
    let about = About {
        id,
        issuer: host.url().to_owned(),
        label: Label::default(),
        client_id: "c".to_owned(),
        user: None,
        scopes: vec![],
        made_from,
        host,
    };
    (about, renewable)
}

/// As the daemon makes a lease of an answer to a request made at `asked`.
pub(crate) fn leased(tokens: &Tokens, asked: Now) -> Arc<Lease> {
    let life = tokens.life;
    lease(tokens.access, asked, life, asked.after(life - ROUNDED.min(life / 10)))
}

fn lease(
    access: u64,
    obtained: Now,
    lifetime: Duration,
    expires: sso_agent_core::time::Deadline,
) -> Arc<Lease> {
    Arc::new(Lease {
        access_token: "t".into(),
        token_type: "Bearer".to_owned(),
        token_id: access.to_string(),
        scopes: vec![],
        obtained,
        lifetime,
        expires,
    })
}

/// As the daemon writes a lease down.
pub(crate) fn stored(lease: &Lease, boot: u64) -> Stored {
    Stored {
        access: lease.token_id.parse().expect("tokens are numbers"),
        issued_at: lease.obtained.wall.as_secs(),
        expires_at: lease.expires.wall().as_secs(),
        boot,
        steady: lease.obtained.steady.as_secs(),
    }
}

/// As the daemon reads it back.
pub(crate) fn restored(stored: &Stored, now: Now, boot: u64) -> Arc<Lease> {
    let (then, this) = (stored.boot.to_string(), boot.to_string());
    let kept = sso_agent_core::kept::Kept {
        issued_at: stored.issued_at,
        expires_at: stored.expires_at,
        steady: Some((&then, stored.steady)),
    };
    let left = kept.left(now, Some(&this));
    let obtained =
        Now { steady: now.steady.saturating_sub(left.age), wall: now.wall.saturating_sub(left.age) };
    lease(stored.access, obtained, kept.lifetime(), now.after(left.left))
}

/// What a sign-in brings.
pub(crate) fn signed_in(rec: &Rec, lease: Arc<Lease>) -> SignedIn {
    SignedIn { about: rec.about.clone(), renewable: rec.renewable, lease }
}
