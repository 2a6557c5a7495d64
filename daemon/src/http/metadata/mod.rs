//! The metadata service: a loopback port that Databricks SDKs ask for tokens
//! (`DATABRICKS_METADATA_SERVICE_URL`).
//!
//! It does not listen until somebody asks for an address. From then on the port and the addresses stay
//! the same, over restarts too, since programs that run hold them. The port may be taken when the agent
//! comes back: then it is tried again and again, and only who asks for an address anew gets another
//! port. That one has other paths as well, for whoever took the old port may hear the old ones.

mod kept;
mod url;
mod visit;

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::SecretString;
use sso_agent_proto::{
    fault::{Fault, Kind},
    metadata::MetadataUrl,
    session::Session,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    kept::{Grant, Kept, PathDigest},
    visit::Visits,
};
use super::server;
use crate::{rpc::service::Shared, store};

pub(crate) use self::url::answer;

/// In the state folder.
pub(crate) const FILE: &str = "metadata.json";

/// How often a port that is taken is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Which addresses there are; see the module.
pub(crate) struct Metadata {
    /// Absent when nothing is kept on disk.
    file: Option<PathBuf>,
    /// Whoever changes what there is holds this until it is written down.
    state: Mutex<State>,
    /// What is served.
    served: RwLock<HashMap<PathDigest, Arc<Grant>>>,
    open: mpsc::UnboundedSender<TcpListener>,
}

struct State {
    kept: Kept,
    listening: bool,
    /// Whether there is something that is not on disk yet.
    changed: bool,
    /// Whether it was said that the port is taken.
    told: bool,
}

/// Listeners on their way to [`Metadata::run`].
pub(crate) type Listeners = mpsc::UnboundedReceiver<TcpListener>;

impl Metadata {
    /// What was kept in `file`, if anything was; it does not listen yet.
    pub(crate) fn load(file: Option<PathBuf>) -> (Arc<Self>, Listeners) {
        let (file, kept) = match file.as_deref().map(Kept::read).transpose() {
            Ok(kept) => (file, kept.flatten().unwrap_or_else(Kept::new)),
            Err(error) => {
                let left =
                    "it is left alone, and addresses of the metadata service are good until the agent stops";
                tracing::error!(%error, "{FILE} cannot be read: {left}");
                (None, Kept::new())
            }
        };
        let (open, listeners) = mpsc::unbounded_channel();
        let served = kept.grants().iter().map(|grant| served(&kept, grant)).collect();
        let state = Mutex::new(State { kept, listening: false, changed: false, told: false });
        (Arc::new(Self { file, state, served: RwLock::new(served), open }), listeners)
    }

    /// Listens where it did before, if it gave out addresses.
    pub(crate) async fn resume(&self) {
        let mut state = self.state.lock().await;
        self.try_kept_port(&mut state).await;
    }

    /// Serves what comes out of `listeners` until it is stopped.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut listeners: Listeners,
        service: Shared,
        stop: CancellationToken,
    ) {
        let mut doors = JoinSet::new();
        loop {
            let waiting = doors.is_empty() && self.waits_for_its_port().await;
            tokio::select! {
                Some(listener) = listeners.recv() => match Visits::at(&listener, &self, &service) {
                    Ok(site) => { doors.spawn(server::serve(listener, Arc::new(site), stop.clone())); }
                    Err(error) => tracing::error!(%error, "the metadata service does not listen"),
                },
                () = tokio::time::sleep(TRY_AGAIN), if waiting => self.resume().await,
                () = stop.cancelled() => break,
            }
        }
        while doors.join_next().await.is_some() {}
    }

    /// Whether it gave out addresses at a port that it cannot have now.
    async fn waits_for_its_port(&self) -> bool {
        let state = self.state.lock().await;
        state.kept.port.is_some() && !state.listening
    }

    /// The address for a session and scopes.
    ///
    /// # Errors
    /// There is no port, or what has to be kept cannot be written.
    async fn address(&self, session: &Session, scopes: Vec<String>) -> Result<MetadataUrl, Fault> {
        let grant = Grant::new(session, scopes);
        let mut state = self.state.lock().await;
        let opened = self.listen(&mut state).await.map_err(|error| {
            let hint = "see which program takes ports of 127.0.0.1: ss -ltnp";
            Fault::new(Kind::Unsupported, format!("the metadata service cannot listen: {error}"), hint)
        })?;
        let added = state.kept.admit(&grant).ok_or_else(|| {
            let hint = format!("remove {FILE} from the state folder and restart the agent");
            Fault::new(Kind::Unsupported, "too many addresses were given out", hint)
        })?;
        state.changed |= added;
        self.write(&mut state).await.map_err(|error| {
            let hint = "see that the state folder can be written: `sso agent logs` says more";
            Fault::new(Kind::StoreFailed, format!("{FILE} cannot be written: {error}"), hint)
        })?;
        self.publish(&state.kept);
        if let Some(listener) = opened {
            state.listening = self.open.send(listener).is_ok();
        }
        let url = url_of(&state.kept, &grant);
        let Grant { session, host, account_id, .. } = grant;
        Ok(MetadataUrl { url, host, account_id, session })
    }

    /// A listener that is new; `None` if it listens already.
    async fn listen(&self, state: &mut State) -> io::Result<Option<TcpListener>> {
        if state.listening || self.try_kept_port(state).await {
            return Ok(None);
        }
        let listener = bind(0).await?;
        let port = listener.local_addr()?.port();
        if let Some(before) = state.kept.port {
            tracing::warn!(before, port, "the metadata service moved: addresses given out before are void");
            state.kept = Kept::new();
        }
        state.kept.port = Some(port);
        state.changed = true;
        Ok(Some(listener))
    }

    /// Whether it listens where it did before.
    async fn try_kept_port(&self, state: &mut State) -> bool {
        let Some(port) = state.kept.port.filter(|_| !state.listening) else { return state.listening };
        match bind(port).await {
            Ok(listener) => {
                tracing::info!(port, "the metadata service listens");
                state.listening = self.open.send(listener).is_ok();
                state.told = false;
            }
            Err(error) if !state.told => {
                tracing::warn!(port, %error, "the metadata service waits for its port, which another program has");
                state.told = true;
            }
            Err(_) => {}
        }
        state.listening
    }

    /// Whoever asked may hang up in the middle of it: what is not written now is written the next time.
    async fn write(&self, state: &mut State) -> io::Result<()> {
        let Some(file) = self.file.clone().filter(|_| state.changed) else { return Ok(()) };
        let content = state.kept.content();
        tokio::task::spawn_blocking(move || store::write_private(&file, &content))
            .await
            .map_err(io::Error::other)??;
        state.changed = false;
        Ok(())
    }

    fn publish(&self, kept: &Kept) {
        let all = kept.grants().iter().map(|grant| served(kept, grant)).collect();
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn find(&self, path: &str) -> Option<Arc<Grant>> {
        let digest = kept::digest(path);
        self.served.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }
}

fn served(kept: &Kept, grant: &Grant) -> (PathDigest, Arc<Grant>) {
    (kept::digest(&kept.path(grant)), Arc::new(grant.clone()))
}

fn url_of(kept: &Kept, grant: &Grant) -> SecretString {
    let port = kept.port.unwrap_or_default();
    format!("http://127.0.0.1:{port}{}", *kept.path(grant)).into()
}

/// IPv4 only: the Go and JavaScript SDKs refuse `[::1]`.
async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use sso_agent_proto::session::State as Doing;

    use super::*;

    fn session(id: &str) -> Session {
        Session {
            id: id.into(),
            host: format!("https://{id}"),
            label: String::new(),
            cloud: None,
            account_id: None,
            issuer: "https://i.example".into(),
            client_id: "c".into(),
            user: None,
            scopes: vec![],
            state: Doing::Active,
            expires_at: None,
            next_refresh_at: None,
            last_error: None,
            refreshable: true,
            web: None,
        }
    }

    async fn address(metadata: &Metadata, id: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        metadata.address(&session(id), scopes).await.unwrap().url.expose_secret().to_owned()
    }

    #[tokio::test]
    async fn nothing_listens_until_an_address_is_asked_for_and_then_one_port_does() {
        let (metadata, mut listeners) = Metadata::load(None);
        metadata.resume().await;
        assert!(listeners.try_recv().is_err());
        let first = address(&metadata, "a.example", &[]).await;
        let listener = listeners.try_recv().unwrap();
        let origin = format!("http://{}/", listener.local_addr().unwrap());
        assert!(first.starts_with(&origin), "{first}");
        assert!(address(&metadata, "b.example", &[]).await.starts_with(&origin));
        assert!(listeners.try_recv().is_err());
        assert_eq!(first, address(&metadata, "a.example", &[]).await);
        assert_eq!(
            address(&metadata, "a.example", &["x", "y"]).await,
            address(&metadata, "a.example", &["y", "x", "y"]).await
        );
        assert_ne!(first, address(&metadata, "a.example", &["x"]).await);
    }

    #[tokio::test]
    async fn addresses_outlive_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let file = || Some(folder.path().join(FILE));
        let (metadata, listeners) = Metadata::load(file());
        let first = address(&metadata, "a.example", &[]).await;
        drop((metadata, listeners));

        let (metadata, mut listeners) = Metadata::load(file());
        metadata.resume().await;
        assert!(listeners.try_recv().is_ok(), "it listens without being asked again");
        let path = first.splitn(4, '/').nth(3).unwrap();
        assert_eq!(metadata.find(&format!("/{path}")).unwrap().session, "a.example");
        assert_eq!(first, address(&metadata, "a.example", &[]).await);
    }

    #[tokio::test]
    async fn a_port_that_was_taken_is_given_up_only_when_an_address_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = || Some(folder.path().join(FILE));
        let (metadata, mut listeners) = Metadata::load(file());
        let first = address(&metadata, "a.example", &[]).await;
        let taken = listeners.try_recv().unwrap();
        let (metadata, mut listeners) = Metadata::load(file());
        metadata.resume().await;
        assert!(listeners.try_recv().is_err());
        let port = taken.local_addr().unwrap().port();
        assert_eq!(metadata.state.lock().await.kept.port, Some(port), "not yet");

        let second = address(&metadata, "a.example", &[]).await;
        let [first, second] = [first, second].map(|url| url.splitn(4, '/').nth(3).unwrap().to_owned());
        assert_ne!(first, second, "who took the port may have heard the old path");
        assert!(metadata.find(&format!("/{first}")).is_none());
    }

    #[tokio::test]
    async fn a_port_that_is_free_again_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = || Some(folder.path().join(FILE));
        let (metadata, mut listeners) = Metadata::load(file());
        let first = address(&metadata, "a.example", &[]).await;
        let taken = listeners.try_recv().unwrap();
        let (metadata, mut listeners) = Metadata::load(file());
        metadata.resume().await;
        drop(taken);
        metadata.resume().await;
        assert!(listeners.try_recv().is_ok());
        assert_eq!(first, address(&metadata, "a.example", &[]).await);
    }
}
