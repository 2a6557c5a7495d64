//! What happens to the agent, and how time passes.

use std::time::Duration;

use sso_agent_core::{
    agent::{Agent, Event, Target, Which},
    login::{Flow, Plan, Server},
    session::Waiter,
    words::{Need, SessionId},
};

use crate::{
    issuer::Mood,
    world::{NAP, World, about, leased, restored, signed_in},
};

/// So much happens in one schedule.
const LONGEST: u64 = 60;

impl World {
    /// From the first sign-in to the day on which all is well again.
    pub(crate) fn live(&mut self) {
        for who in 0..2 + self.random.below(5) {
            self.brought(who);
        }
        for _ in 0..5 + self.random.below(LONGEST) {
            self.act();
            let pass = match self.random.below(24) {
                0..10 => self.random.ms(1, 2000),
                10..20 => self.random.ms(500, 40_000),
                20..23 => self.random.ms(10_000, 700_000),
                _ => self.random.ms(600_000, 5_000_000),
            };
            self.pass(pass);
        }
        self.all_is_well_again();
    }

    /// A sign-in that nobody watched.
    fn brought(&mut self, who: u64) {
        let (about, renewable) = about(who);
        let (id, asked) = (about.id.clone(), self.now());
        let tokens = self.issuer.grant(&id, self.real, &mut self.random);
        let lease = leased(&tokens, asked);
        let lease_kept = Some(crate::world::stored(&lease, self.boot));
        let refresh = tokens.refresh.filter(|_| who < 4 || who == 5);
        let rec = crate::world::Rec { about, renewable, refresh, lease: lease_kept, ended: None };
        let brought = signed_in(&rec, lease);
        self.store.insert(id, rec);
        self.happened(Event::Brought(Box::new(brought)));
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..30 => self.ask(),
            30..45 => self.read(),
            45..50 => self.herd(),
            50..58 => self.mood(),
            58..64 => self.set_clock(),
            64..69 => self.sleep(),
            69..73 => self.fill_disk(),
            73..79 => self.restart(),
            79..85 => self.log_in(),
            85..88 => self.log_out(),
            88..92 => self.hang_up(),
            92..94 => self.change_settings(),
            94..96 => self.revoke(),
            96..97 => self.abandon(),
            _ => {}
        }
    }

    fn somebody(&mut self) -> SessionId {
        let who = self.random.below(7);
        about(who).0.id
    }

    fn target(&mut self, id: &SessionId) -> Target {
        if id.is_web() {
            return Target::Web(id.clone());
        }
        let (about, _) = about((0..7).find(|who| about(*who).0.id == *id).unwrap_or_default());
        match about.made_from {
            Some(made_from) => Target::Host(about.host, Which::OfMachine { label: about.label, made_from }),
            None if self.random.percent(50) => Target::Session(id.clone()),
            None => Target::Host(about.host, Which::any()),
        }
    }

    fn ask(&mut self) {
        let id = self.somebody();
        let min_valid = Duration::from_secs([0, 60, 60, 300, 5000][self.random.below(5) as usize]);
        let fresh = self.random.percent(15);
        let required = if self.random.percent(50) { Duration::ZERO } else { min_valid };
        let youth = fresh.then_some(Duration::from_secs(30));
        let refused = self.random.percent(5);
        let not = self.offered.get(&id).filter(|_| refused).map(|lease| lease.token_id.clone());
        let need = Need { min_valid, required, youth, not };
        let wait = self.random.ms(0, 60_000);
        self.wants(&id, need, wait);
    }

    fn wants(&mut self, id: &SessionId, need: Need, wait: Duration) {
        let (ticket, target) = (self.ticket(), self.target(id));
        let waiter = Waiter { ticket, need, give_up: self.now().after(wait) };
        self.waiting.insert(ticket, waiter.clone());
        self.tally.asked += 1;
        self.pressed(id, &waiter.need);
        self.happened(Event::Asked(target, waiter));
    }

    /// Many ask for the same at once.
    fn herd(&mut self) {
        let id = self.somebody();
        for _ in 0..20 {
            let min_valid = Duration::from_secs(60);
            let need = Need { min_valid, required: Duration::ZERO, youth: None, not: None };
            self.wants(&id, need, Duration::from_secs(30));
        }
    }

    fn mood(&mut self) {
        self.issuer.mood = match self.random.below(8) {
            0 | 1 => Mood::Down,
            2 => Mood::Busy(self.random.below(200)),
            3 => Mood::Busy(100_000),
            4 if self.random.percent(40) => Mood::Misconfigured,
            _ => Mood::Well,
        };
        self.say(|| format!("the issuer is {:?}", self.issuer.mood));
    }

    fn set_clock(&mut self) {
        const DAY: i128 = 86_400_000;
        let to_year = |ms: i128| ms - 2_000_000_000_000 - self.real.as_millis() as i128;
        let set = match self.random.below(8) {
            0 => self.set + DAY,
            1 => self.set - DAY,
            2 => to_year(0),
            3 => to_year(4_300_000_000_000),
            4 => 0,
            // Daylight saving done wrong, and what NTP does.
            5 => self.set + 3_600_000,
            6 => self.set - 3_600_000,
            _ => self.set + i128::from(self.random.below(4000)) - 2000,
        };
        self.set = set;
        self.stepped();
        self.tally.clock_steps += 1;
        self.say(|| "the clock was set".to_owned());
    }

    fn sleep(&mut self) {
        let by = self.random.ms(1000, 20_000_000);
        self.real += by;
        self.next_nap += by;
        self.sleep_through(by);
        self.stepped();
        self.tally.sleeps += 1;
        self.say(|| format!("woke up after {by:?}"));
    }

    fn fill_disk(&mut self) {
        self.full_until = self.real + self.random.ms(100, 300_000);
        self.tally.full_disks += 1;
        self.say(|| "the disk is full".to_owned());
    }

    fn log_in(&mut self) {
        let id = self.somebody();
        let (about, _) = about((0..7).find(|who| about(*who).0.id == id).unwrap_or_default());
        if about.id.is_web() {
            return;
        }
        let plan = Plan {
            host: about.host,
            label: about.label,
            client_id: None,
            client_secret: None,
            scopes: vec![],
            server: Server::default(),
            flow: Flow::Browser { port: None },
            timeout: self.random.ms(1000, 300_000),
            made_from: about.made_from,
        };
        let ticket = self.ticket();
        self.watching.insert(ticket);
        self.happened(Event::LoginAsked(Box::new(plan), ticket));
    }

    fn log_out(&mut self) {
        let (id, ticket) = (self.somebody(), self.ticket());
        let target = self.target(&id);
        self.leaving.insert(ticket, id);
        self.tally.sign_outs += 1;
        self.happened(Event::LogoutAsked(target, ticket));
    }

    fn hang_up(&mut self) {
        let all: Vec<_> = self.waiting.keys().chain(&self.watching).copied().collect();
        if let Some(ticket) = self.random.pick(&all).copied() {
            self.waiting.remove(&ticket);
            self.watching.remove(&ticket);
            self.happened(Event::HungUp(ticket));
        }
    }

    fn change_settings(&mut self) {
        let kept = if self.random.percent(60) { vec!["m1".to_owned()] } else { vec!["m2".to_owned()] };
        self.happened(Event::SettingsChanged(kept.into_iter().collect()));
    }

    fn revoke(&mut self) {
        let id = self.somebody();
        let refresh = self.store.get(&id).and_then(|rec| rec.refresh);
        self.issuer.revoke(refresh);
        self.say(|| format!("{id}: revoked by an admin"));
    }

    fn abandon(&mut self) {
        self.happened(Event::Abandoned(vec![about(5).0.id, SessionId::named("gone")]));
    }

    /// The agent ends, in one of four ways, and another one starts.
    fn restart(&mut self) {
        self.tally.kills += 1;
        let how = self.random.below(4);
        self.say(|| format!("restart, way {how}"));
        match how {
            0 => self.agent_killed(),
            1 => self.all_killed(),
            2 => self.all_killed(),
            _ => {
                self.happened(Event::Stop);
                self.agent_killed();
            }
        }
        self.run += 1;
        // A survivor holds the lock until what it began is banked.
        while self.is_spending() {
            self.real = self.next_job().unwrap_or(self.real).max(self.real);
            self.work();
        }
        if how == 3 {
            // What an orderly stop still has in memory, it banks, or it says that it could not.
            for (id, rec) in std::mem::take(&mut self.held) {
                if self.disk_is_full() {
                    let spent = self.store.get(&id).and_then(|rec| rec.refresh);
                    self.issuer.excuse(spent);
                } else {
                    self.store.insert(id, rec);
                }
            }
        }
        self.real += self.random.ms(1, 100_000);
        if how == 2 {
            self.booted = self.real;
            self.real += self.random.ms(1000, 60_000);
            self.boot += 1;
        }
        self.start();
    }

    fn start(&mut self) {
        self.waiting.clear();
        self.watching.clear();
        self.leaving.clear();
        self.offered.clear();
        self.logins.clear();
        self.agent = Agent::new(self.random.next());
        self.next_nap = self.real + NAP;
        self.started();
        for rec in self.store.values().cloned().collect::<Vec<_>>() {
            let now = self.now();
            let lease = rec.lease.map(|lease| restored(&lease, now, self.boot));
            self.is_murky(rec.lease.as_ref(), lease.as_deref(), now);
            let effects = self.agent.restore(rec.about, rec.renewable, lease, rec.ended, now);
            self.perform(effects);
        }
    }

    /// Time passes; whatever is due on the way happens.
    pub(crate) fn pass(&mut self, by: Duration) {
        let to = self.real + by;
        loop {
            let now = self.now();
            let left = self.agent.wake_at(now).map(|at| at.left(now));
            // Timers count whole milliseconds, and are never early.
            let wake = left
                .map(|left| self.real + Duration::from_millis(left.as_nanos().div_ceil(1_000_000) as u64));
            let wake = wake.unwrap_or(self.next_nap).min(self.next_nap);
            let job = self.next_job().unwrap_or(Duration::MAX).max(self.real);
            let next = wake.min(job);
            if next > to {
                break;
            }
            self.idle_wakes = if next > self.real { 0 } else { self.idle_wakes + 1 };
            assert!(self.idle_wakes < 500, "it wakes up all the time and does nothing");
            self.real = next;
            if job <= wake {
                self.work();
            } else {
                self.tally.wakes += 1;
                self.next_nap = self.real + NAP;
                self.happened(Event::Woke);
                self.nobody_is_late();
            }
        }
        self.real = to;
    }

    /// A reader that asks the snapshot alone.
    fn read(&mut self) {
        let id = self.somebody();
        let need = Need { min_valid: Duration::from_secs(self.random.below(100)), ..Need::default() };
        let now = self.now();
        if let Some(lease) = self.offered.get(&id).filter(|lease| need.is_met_by(lease, now)).cloned() {
            self.is_no_stale_token(&id, &lease);
        }
    }
}
