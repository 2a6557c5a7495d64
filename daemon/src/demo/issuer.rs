//! The handle on a running issuer.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use super::authorize::Tickets;
use super::clock::Clock;
use super::counters::{Counters, Tally};
use super::faults::{Fault, Faults, Spot};
use super::options::Options;
use super::routes::Routes;
use super::server;
use super::state::{State, Terms};

/// A running issuer. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone)]
pub struct Issuer {
    shared: Arc<Shared>,
    life: Arc<Life>,
}

/// What the handle and the tasks that serve have in common.
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) url: String,
    pub(super) routes: Routes,
    pub(super) clock: Clock,
    pub(super) tally: Tally,
    desk: Mutex<Desk>,
    /// Cancelled while the issuer is off the network.
    plug: Mutex<CancellationToken>,
}

/// All that changes while it runs.
pub(super) struct Desk {
    pub(super) state: State,
    pub(super) faults: Faults,
    pub(super) tickets: Tickets,
    /// What clients sent that they should have kept to themselves.
    pub(super) heard: Vec<String>,
}

struct Life(CancellationToken);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Issuer {
    /// Starts serving on the runtime that this is called in.
    ///
    /// # Errors
    /// The port is taken, or there is no runtime.
    pub fn start(options: Options) -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let (issuer, listener) = Self::bind(options)?;
        let _guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(server::serve(listener, Arc::clone(&issuer.shared), issuer.life.0.clone()));
        Ok(issuer)
    }

    /// Starts serving on a thread of its own: for callers without a runtime, or with a busy one.
    ///
    /// # Errors
    /// The port is taken, or the system gives no thread.
    pub fn start_in_thread(options: Options) -> io::Result<Self> {
        let (issuer, listener) = Self::bind(options)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
        let serving = server::serve(listener, Arc::clone(&issuer.shared), issuer.life.0.clone());
        thread::Builder::new().name("demo-issuer".into()).spawn(move || runtime.block_on(serving))?;
        Ok(issuer)
    }

    fn bind(options: Options) -> io::Result<(Self, TcpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let life = CancellationToken::new();
        let shared = Arc::new(Shared::new(options, url, life.child_token()));
        Ok((Self { shared, life: Arc::new(Life(life)) }, listener))
    }

    /// The host to sign in to, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// What the issuer calls itself: the host, and `/oidc` where it is shaped like a workspace.
    pub fn issuer(&self) -> String {
        self.shared.issuer()
    }

    /// What was asked and done so far.
    pub fn counters(&self) -> Counters {
        self.shared.tally.now()
    }

    /// Waits until the counters are as wanted.
    pub async fn until(&self, enough: impl Fn(&Counters) -> bool) -> Counters {
        self.shared.tally.until(enough).await
    }

    /// Blocks until the counters are as wanted; `None` when that takes longer than `limit`.
    ///
    /// Not for a task of the runtime that serves: nothing would happen meanwhile.
    pub fn wait_until(&self, limit: Duration, enough: impl Fn(&Counters) -> bool) -> Option<Counters> {
        self.shared.tally.wait(limit, enough)
    }

    /// Misbehaves in this way from now on, until the faults are cleared. There is one such fault for
    /// each endpoint; those of [`Issuer::inject_times`] come first.
    pub fn inject(&self, fault: Fault) {
        self.shared.desk().faults.stand(fault);
    }

    /// Misbehaves in this way at the next `times` requests, after those that were asked for before.
    pub fn inject_times(&self, fault: Fault, times: u32) {
        self.shared.desk().faults.count(fault, times);
    }

    /// Behaves from now on.
    pub fn clear_faults(&self) {
        self.shared.desk().faults.clear();
    }

    /// Changes how long the access tokens to come live.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.shared.desk().state.terms.lifetime = lifetime;
    }

    /// Puts the issuer's clock forward: what it gave out ends that much earlier.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Ends every sign-in so far, as an administrator would.
    pub fn revoke_all(&self) {
        self.shared.desk().state.revoke_all();
    }

    /// Whether a workspace would take this access token now.
    pub fn accepts(&self, access_token: &str) -> bool {
        self.shared.accepts(access_token)
    }

    /// Drops every connection, and each new one, until [`Issuer::go_online`]. The port stays ours.
    pub fn go_offline(&self) {
        self.shared.plug().cancel();
    }

    /// Serves again.
    pub fn go_online(&self) {
        let mut plug = lock(&self.shared.plug);
        if plug.is_cancelled() {
            *plug = self.life.0.child_token();
        }
    }

    /// Stops for good: drops every connection and gives up the port. There is no way back.
    pub fn stop(&self) {
        self.life.0.cancel();
    }

    /// What must be found nowhere outside the agent: all codes and refresh tokens that were given out,
    /// and the verifiers and client secrets that came in.
    pub fn secrets(&self) -> Vec<String> {
        let desk = self.shared.desk();
        let known = self.shared.options.client_secret.iter().map(|secret| secret.expose_secret().to_owned());
        desk.state.secrets().chain(&desk.heard).cloned().chain(known).collect()
    }

    /// All access tokens that were given out.
    pub fn access_tokens(&self) -> Vec<String> {
        self.shared.desk().state.access_tokens().cloned().collect()
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

impl Shared {
    fn new(options: Options, url: String, plug: CancellationToken) -> Self {
        let routes = Routes::of(options.shape);
        let state = State::new(Terms {
            issuer: format!("{url}{}", routes.root),
            user: options.user.clone(),
            lifetime: options.lifetime,
            rotate: options.rotate,
            grace: options.grace,
        });
        let desk = Desk { state, faults: Faults::default(), tickets: Tickets::default(), heard: Vec::new() };
        Self {
            options,
            url,
            routes,
            clock: Clock::start(),
            tally: Tally::default(),
            desk: Mutex::new(desk),
            plug: Mutex::new(plug),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    pub(super) fn plug(&self) -> CancellationToken {
        lock(&self.plug).clone()
    }

    pub(super) fn issuer(&self) -> String {
        format!("{}{}", self.url, self.routes.root)
    }

    pub(super) fn accepts(&self, access_token: &str) -> bool {
        self.desk().state.accepts(access_token, self.clock.now())
    }

    /// The fault that this request meets, counted.
    pub(super) fn fault(&self, spot: Spot) -> Option<Fault> {
        let fault = self.desk().faults.take(spot)?;
        self.tally.count(|counters| counters.faults += 1);
        Some(fault)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
