//! What Prometheus may know: how many, how often, since when. Labels are words of ours and never a
//! host, a session or a user.

use http::StatusCode;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use sso_agent_proto::{events::EventKind, session::State};

type Labels = [(&'static str, &'static str); 1];

/// What tokens leave by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// JSON-RPC on the socket.
    Rpc,
    /// `http.sock`.
    Http,
    /// The metadata service.
    Metadata,
}

impl Door {
    fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Http => "http",
            Self::Metadata => "metadata",
        }
    }
}

/// One of something for each door.
#[derive(Debug)]
struct Doors<T> {
    rpc: T,
    http: T,
    metadata: T,
}

impl<T> Doors<T> {
    fn of(make: impl Fn(Door) -> T) -> Self {
        Self { rpc: make(Door::Rpc), http: make(Door::Http), metadata: make(Door::Metadata) }
    }

    fn at(&self, door: Door) -> &T {
        match door {
            Door::Rpc => &self.rpc,
            Door::Http => &self.http,
            Door::Metadata => &self.metadata,
        }
    }
}

fn labels(door: Door, status: StatusCode) -> [(&'static str, String); 2] {
    [("door", door.name().to_owned()), ("status", status.as_str().to_owned())]
}

const STATES: [State; 4] = [State::Active, State::Refreshing, State::Retrying, State::LoginRequired];

/// What has happened so far, counted.
#[derive(Debug)]
pub(crate) struct Tally {
    registry: Registry,
    tokens: Doors<Counter>,
    /// Requests that were answered with 200, of which there are many.
    served: Doors<Counter>,
    requests: Family<[(&'static str, String); 2], Counter>,
    renewals: Family<Labels, Counter>,
    sessions: Family<Labels, Gauge>,
    started: Gauge,
}

impl Default for Tally {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("sso_agent");
        let tokens = Family::<Labels, Counter>::default();
        let renewals = Family::<Labels, Counter>::default();
        let requests = Family::<[(&'static str, String); 2], Counter>::default();
        let sessions = Family::<Labels, Gauge>::default();
        let started = Gauge::default();
        registry.register("tokens", "Access tokens handed out, by door", tokens.clone());
        registry.register("renewals", "Renewals that came to an end, by outcome", renewals.clone());
        registry.register("http_requests", "Requests over HTTP, by door and status", requests.clone());
        registry.register("sessions", "Sessions, by state", sessions.clone());
        registry.register("start_time_seconds", "When the agent started, since 1970", started.clone());
        // A counter that is not there yet looks like one that is gone; and these need no look-up.
        let tokens = Doors::of(|door| tokens.get_or_create(&[("door", door.name())]).clone());
        let served = Doors::of(|door| match door {
            Door::Http | Door::Metadata => requests.get_or_create(&labels(door, StatusCode::OK)).clone(),
            Door::Rpc => Counter::default(),
        });
        for outcome in ["renewed", "retrying", "login_required"] {
            drop(renewals.get_or_create(&[("outcome", outcome)]));
        }
        Self { registry, tokens, served, requests, renewals, sessions, started }
    }
}

impl Tally {
    /// A token went out.
    pub(crate) fn token(&self, door: Door) {
        self.tokens.at(door).inc();
    }

    /// A request was answered.
    pub(crate) fn request(&self, door: Door, status: StatusCode) {
        if status == StatusCode::OK {
            self.served.at(door).inc();
        } else {
            self.requests.get_or_create(&labels(door, status)).inc();
        }
    }

    /// Something happened.
    pub(crate) fn event(&self, kind: EventKind) {
        let outcome = match kind {
            EventKind::TokenRefreshed => "renewed",
            EventKind::SessionRetrying => "retrying",
            EventKind::SessionLoginRequired => "login_required",
            EventKind::SessionAdded
            | EventKind::SessionRemoved
            | EventKind::AgentLocked
            | EventKind::AgentUnlocked
            | EventKind::ConfigReloaded
            | EventKind::ConfigInvalid => return,
        };
        self.renewals.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self, started_s: u64, sessions: &[State]) -> String {
        self.started.set(i64::try_from(started_s).unwrap_or_default());
        for state in STATES {
            let count = sessions.iter().filter(|one| **one == state).count();
            let gauge = self.sessions.get_or_create(&[("state", state.name())]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_can_be_read() {
        let tally = Tally::default();
        tally.token(Door::Rpc);
        tally.token(Door::Http);
        tally.token(Door::Http);
        tally.request(Door::Metadata, StatusCode::NOT_FOUND);
        tally.event(EventKind::TokenRefreshed);
        tally.event(EventKind::SessionAdded);
        let text = tally.text(1_700_000_000, &[State::Active, State::Active]);
        for line in [
            "sso_agent_tokens_total{door=\"rpc\"} 1",
            "sso_agent_tokens_total{door=\"http\"} 2",
            "sso_agent_tokens_total{door=\"metadata\"} 0",
            "sso_agent_renewals_total{outcome=\"renewed\"} 1",
            "sso_agent_renewals_total{outcome=\"retrying\"} 0",
            "sso_agent_http_requests_total{door=\"metadata\",status=\"404\"} 1",
            "sso_agent_sessions{state=\"active\"} 2",
            "sso_agent_sessions{state=\"login_required\"} 0",
            "sso_agent_start_time_seconds 1700000000",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
