//! The issuer of a schedule: refresh tokens good for one use, a memory for every one that was ever spent, and
//! all its bad days. It knows by true time when a token ends, whatever anybody's clock says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sso_agent_core::words::SessionId;

use crate::random::Random;

/// What comes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Granted(Tokens),
    /// `invalid_grant`
    Rejected,
    /// `invalid_client`
    Refused,
    Unwell {
        retry_after: Option<Duration>,
    },
}

/// Tokens are numbers.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: u64,
    pub(crate) refresh: Option<u64>,
    pub(crate) life: Duration,
}

/// How it is today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    Down,
    Busy(u64),
    Misconfigured,
}

/// All that comes of one sign-in.
#[derive(Debug)]
struct Family {
    session: SessionId,
    /// The only refresh token that is good.
    good: u64,
    /// The one before, and until when it may be used again.
    before: Option<(u64, Duration)>,
    revoked: bool,
    /// An answer was lost to everybody: the one before may be sent once more, and that may end it.
    excused: u32,
}

/// See the module.
pub(crate) struct Issuer {
    families: Vec<Family>,
    /// Which family each refresh token that there ever was belongs to.
    of: BTreeMap<u64, usize>,
    in_flight: BTreeSet<SessionId>,
    numbers: u64,
    pub(crate) mood: Mood,
    pub(crate) grace: Duration,
    pub(crate) lives: Vec<u64>,
    /// When each access token ends, by true time.
    ends: BTreeMap<u64, Duration>,
    pub(crate) refreshes: u64,
    pub(crate) replays: u64,
}

impl Issuer {
    pub(crate) fn new(random: &mut Random) -> Self {
        let grace = if random.percent(30) { Duration::from_secs(10) } else { Duration::ZERO };
        let lives = match random.below(4) {
            0 => vec![30],
            1 => vec![3600],
            2 => vec![1, 5, 60, 600, 86_400],
            _ => vec![300, 3600],
        };
        Self {
            families: Vec::new(),
            of: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            numbers: 0,
            mood: Mood::Well,
            grace,
            lives,
            ends: BTreeMap::new(),
            refreshes: 0,
            replays: 0,
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn access(&mut self, real: Duration, random: &mut Random) -> (u64, Duration) {
        let life = Duration::from_secs(random.pick(&self.lives).copied().unwrap_or(60));
        let access = self.number();
        self.ends.insert(access, real + life);
        (access, life)
    }

    /// Somebody signs in: a new family.
    pub(crate) fn grant(&mut self, id: &SessionId, real: Duration, random: &mut Random) -> Tokens {
        let (access, life) = self.access(real, random);
        let refresh = self.number();
        self.of.insert(refresh, self.families.len());
        self.families.push(Family {
            session: id.clone(),
            good: refresh,
            before: None,
            revoked: false,
            excused: 0,
        });
        Tokens { access, refresh: Some(refresh), life }
    }

    /// A program shows what it has, which is not used up.
    pub(crate) fn by_credentials(&mut self, real: Duration, random: &mut Random) -> Said {
        if let Some(unwell) = self.unwell() {
            return unwell;
        }
        let (access, life) = self.access(real, random);
        Said::Granted(Tokens { access, refresh: None, life })
    }

    /// A refresh token is shown: what is decided is decided, whether anybody hears of it or not.
    pub(crate) fn redeem(&mut self, id: &SessionId, token: u64, real: Duration, random: &mut Random) -> Said {
        self.refreshes += 1;
        if let Some(unwell) = self.unwell() {
            return unwell;
        }
        let at = self.of.get(&token).copied().expect("it was given by this issuer");
        let family = &mut self.families[at];
        assert_eq!(family.session, *id, "a refresh token of another session");
        if family.revoked {
            return Said::Rejected;
        }
        let again = family.before.is_some_and(|(before, until)| before == token && real < until);
        if token != family.good && !again {
            assert!(family.excused > 0, "{id}: the spent refresh token {token} was sent again");
            family.excused -= 1;
            family.revoked = true;
            self.replays += 1;
            return Said::Rejected;
        }
        let (access, life) = self.access(real, random);
        if random.percent(5) && !again {
            // Some do not rotate every time (RFC 6749, 6).
            return Said::Granted(Tokens { access, refresh: None, life });
        }
        let refresh = self.number();
        let until = real + self.grace;
        self.of.insert(refresh, at);
        let family = &mut self.families[at];
        family.before = Some((token, until));
        family.good = refresh;
        Said::Granted(Tokens { access, refresh: Some(refresh), life })
    }

    fn unwell(&self) -> Option<Said> {
        match self.mood {
            Mood::Well => None,
            Mood::Down => Some(Said::Unwell { retry_after: None }),
            Mood::Busy(s) => Some(Said::Unwell { retry_after: Some(Duration::from_secs(s)) }),
            Mood::Misconfigured => Some(Said::Refused),
        }
    }

    /// A request has come in; two of one session must never overlap.
    pub(crate) fn enter(&mut self, id: &SessionId) {
        assert!(self.in_flight.insert(id.clone()), "{id}: two exchanges at once");
    }

    /// It is answered, or whoever asked is gone.
    pub(crate) fn leave(&mut self, id: &SessionId) {
        self.in_flight.remove(id);
    }

    fn family(&mut self, refresh: Option<u64>) -> Option<&mut Family> {
        let at = self.of.get(&refresh?).copied()?;
        self.families.get_mut(at)
    }

    /// An answer is lost to everybody: one replay is to be expected.
    pub(crate) fn excuse(&mut self, refresh: Option<u64>) {
        if let Some(family) = self.family(refresh) {
            family.excused += 1;
        }
    }

    pub(crate) fn revoke(&mut self, refresh: Option<u64>) {
        if let Some(family) = self.family(refresh) {
            family.revoked = true;
        }
    }

    pub(crate) fn has_revoked(&mut self, refresh: Option<u64>) -> bool {
        self.family(refresh).is_none_or(|family| family.revoked)
    }

    /// Whether an access token is good, by true time.
    pub(crate) fn is_good(&self, access: u64, real: Duration) -> bool {
        self.ends.get(&access).is_some_and(|end| real < *end)
    }

    /// When it ends, by true time.
    pub(crate) fn end_of(&self, access: u64) -> Duration {
        self.ends.get(&access).copied().unwrap_or_default()
    }
}
