//! Builds the parts in the order in which they need each other, and takes them down again.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use sso_agent_core::{
    agent::{Agent, Effect, Event},
    words::{Attempt, SessionId},
};
use sso_agent_proto::places::Places;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    account::{self, Apps},
    clock,
    config::{self, Config},
    driver::Driver,
    handle::{Handle, Message},
    http::{
        metadata::{FILE, Metadata},
        server,
        v1::Api,
    },
    issuer::{Http, Settings},
    manager,
    notices::{Notices, SystemDesk},
    padlock::{self, Padlock},
    random,
    rpc::{
        listen,
        service::{About as Facts, Service},
        socket::{BindError, Socket},
    },
    signin,
    snapshot::Snapshot,
    spender::{Hello, Ledger, Spender, renewable, restored},
    store::{
        self, KeySetup, Loaded, LockError, Memory, Record, SealedFiles, Source, Store, StoreError, StoreLock,
        SystemKeyring,
    },
    web::{self, Handles, Web},
};

/// How long clients may take to fetch what they were owed when the agent stopped.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How the daemon is run.
#[derive(Debug)]
pub struct Options {
    /// Where everything is.
    pub places: Places,
    /// Keep nothing on disk.
    pub ephemeral: bool,
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another one serves this user.
    #[error("another agent{} serves {place}", .pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Held {
        /// What it holds.
        place: String,
        /// Its process, if it said.
        pid: Option<u32>,
    },
    /// The socket cannot be had.
    #[error("the socket {place} cannot be had: {why}")]
    Socket {
        /// Where it should be.
        place: String,
        /// In words.
        why: String,
    },
    /// The state folder cannot be used.
    #[error("the state cannot be used: {0}")]
    Store(String),
}

impl StartError {
    /// What the program exits with: 75 (`EX_TEMPFAIL`) when another agent does the work already.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Held { .. } => 75,
            Self::Socket { .. } | Self::Store(_) => 1,
        }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Runs until `stop` resolves or a client asks for it; `ready` is called when clients can come.
///
/// # Errors
/// See [`StartError`]; once it serves, nothing but `stop` ends it.
pub async fn run(
    options: Options,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let started = clock::now();
    let mut inherited = manager::Inherited::take();
    let _state_lock = if options.ephemeral { None } else { Some(lock_state(&options.places.state)?) };
    let socket = socket(&options.places.socket, manager::RPC, &mut inherited)?;
    let lost = socket.lost();
    let http = http_socket(&options.places.http_socket, &mut inherited);
    let config = read_config(&options.places).await?;
    let store = open_store(&options, &config).await?;
    let snapshot = Arc::new(Snapshot::default());
    let padlock = Padlock::read((!options.ephemeral).then(|| options.places.state.join(padlock::FILE)));
    let padlock = Arc::new(padlock);
    if padlock.is_locked() {
        snapshot.close();
    }
    let (handle, inbox) = Handle::new(snapshot.clone());
    let handles = Arc::new(Handles::open((!options.ephemeral).then(|| options.places.state.join(web::FILE))));
    let about = Facts::new(started, store.clone());
    let (agent, mut unreadable) = load(&about, &snapshot, &handles).await?;
    let (sessions, web_sessions) = (agent.sessions().len(), agent.web_sessions().len());
    if padlock.is_locked() {
        tracing::warn!("locked, as the last agent was");
        handle.send(Message::Happened(Event::Paused(!config.known().settings.refresh_while_locked)));
    }
    let (metadata, addresses) = Metadata::load((!options.ephemeral).then(|| options.places.state.join(FILE)));
    let spender = Arc::new(spender(&options, &store, config.reach()));
    let apps_folder = (!options.ephemeral).then(|| options.places.state.join(account::FOLDER));
    let apps = Apps::new(store.clone(), spender.clone(), apps_folder);
    unreadable.extend(apps.read().await);
    *about.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = unreadable;
    let web = Arc::new(Web::new(handles.clone(), store, spender.clone()));
    let served = handle.clone();
    let service =
        Arc::new(Service::new(served, config.clone(), metadata.clone(), apps, web, padlock.clone(), about));
    let no_more_clients = CancellationToken::new();
    let notices = (!options.ephemeral).then(|| Notices::new(handle.clone(), config.clone(), &agent));
    let driver = Driver::new(
        agent,
        inbox,
        handle.clone(),
        spender.clone(),
        handles,
        config.clone(),
        no_more_clients.clone(),
    );
    // Who is locked and told not to renew has it settled by the first renewal after that.
    if !(options.ephemeral || padlock.is_locked() && !config.known().settings.refresh_while_locked) {
        settle(&options.places, &spender, &handle);
    }
    let watching = tokio::spawn(watch_config(config, handle.clone()));
    // Called off with everything else when this returns.
    let mut telling = JoinSet::new();
    notices.into_iter().for_each(|notices| drop(telling.spawn(notices.run(SystemDesk))));
    let mut serving = JoinSet::new();
    serving.spawn(listen::serve(socket, service.clone(), no_more_clients.clone()));
    metadata.resume().await;
    serving.spawn(metadata.run(addresses, service.clone(), no_more_clients.clone()));
    if let Some(http) = http {
        let api = Api { service, stop: no_more_clients.clone() };
        serving.spawn(server::serve(http, Arc::new(api), no_more_clients.clone()));
    }
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        sessions,
        web_sessions,
        ephemeral = options.ephemeral,
        "serving"
    );
    manager::ready(&format!("{sessions} sessions"));
    ready();
    let driving = driver.run();
    tokio::pin!(driving, stop);
    tokio::select! {
        () = &mut driving => {}
        () = stop => {
            handle.send(Message::Stop);
            driving.await;
        }
        () = lost.cancelled() => {
            tracing::warn!("nobody finds this agent: stopping, so that the next client starts one that has a socket");
            handle.send(Message::Stop);
            driving.await;
        }
    }
    watching.abort();
    // Whoever is still connected then is owed nothing.
    let _ = tokio::time::timeout(LAST_WORDS, async { while serving.join_next().await.is_some() {} }).await;
    tracing::info!("stopped");
    Ok(())
}

fn lock_state(state: &Path) -> Result<StoreLock, StartError> {
    store::private_dir(state)?;
    StoreLock::take(state, "lock").map_err(|error| match error {
        LockError::Held { pid } => StartError::Held { place: state.display().to_string(), pid },
        LockError::Store(error) => error.into(),
    })
}

/// The socket for HTTP. An agent without one is of use all the same.
fn http_socket(place: &Path, inherited: &mut manager::Inherited) -> Option<Socket> {
    socket(place, manager::HTTP, inherited)
        .inspect_err(|error| tracing::error!("nothing is served over HTTP: {error}"))
        .ok()
}

/// The socket that systemd gave us, or our own: bound under a lock, in a folder that is ours alone.
fn socket(place: &Path, name: &str, inherited: &mut manager::Inherited) -> Result<Socket, StartError> {
    let bound = match inherited.named(name) {
        Some(listening) => Socket::adopt(listening).map_err(BindError::from),
        None => Socket::bind(place),
    };
    let folder = || place.parent().unwrap_or(place).display().to_string();
    bound.map_err(|error| match error {
        BindError::Held(pid) => StartError::Held { place: folder(), pid },
        BindError::Failed(why) => StartError::Socket { place: place.display().to_string(), why },
    })
}

async fn read_config(places: &Places) -> Result<Arc<Config>, StartError> {
    let places = places.clone();
    let read = tokio::task::spawn_blocking(move || Config::read(&places)).await;
    read.map(Arc::new).map_err(|_| StartError::Store("reading the config files failed".to_owned()))
}

async fn watch_config(config: Arc<Config>, handle: Handle) {
    let settings = || Message::SettingsChanged(config.known().machines());
    handle.send(settings());
    config::watch(config.clone(), |reading| {
        handle.send(settings());
        handle.tell(config::event(reading));
    })
    .await;
}

async fn open_store(options: &Options, config: &Config) -> Result<Arc<dyn Store>, StartError> {
    if options.ephemeral {
        return Ok(Arc::new(Memory::default()));
    }
    let (state, beside) = (options.places.state.clone(), beside(&options.places));
    let mut choice = config.known().settings.key;
    let known_before = ["key", "key.source", "key.passphrase"].iter().any(|name| state.join(name).exists());
    if choice.is_none() && !config.known().problems.is_empty() && !known_before {
        // What is said there of the key cannot be read: so no file takes its place.
        choice = Some(Source::Keyring);
    }
    let setup = KeySetup { choice, credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into) };
    let open = move || {
        let store = SealedFiles::open(&state, SystemKeyring::of(&state), setup)?;
        Ok(match beside {
            Some(beside) => store.beside(&beside.join(store::SPARE)),
            None => store,
        })
    };
    let opened: Result<Result<_, StoreError>, _> = tokio::task::spawn_blocking(open).await;
    match opened {
        Ok(store) => Ok(Arc::new(store?)),
        Err(_) => Err(StartError::Store("opening it failed".to_owned())),
    }
}

/// What spends refresh tokens: in a process of its own, if there is anything that it could bank in one.
fn spender(options: &Options, store: &Arc<dyn Store>, reach: Settings) -> Spender {
    let Some(program) = program().filter(|_| !options.ephemeral) else {
        return Spender::here(store.clone(), reach);
    };
    let (state, beside) = (options.places.state.clone(), beside(&options.places));
    let store = store.clone();
    let handover = move |http: &Http| {
        let keys = store.export_keys().map_err(|error| error.to_string())?;
        let (reach, waits) = (http.settings(), http.waits());
        Ok(Hello { state: state.clone(), beside: beside.clone(), keys, reach, waits })
    };
    Spender::apart(program, options.places.state.clone(), reach, Arc::new(handover))
}

/// This program, also when a newer one has taken its place.
fn program() -> Option<PathBuf> {
    if cfg!(target_os = "linux") { Some("/proc/self/exe".into()) } else { std::env::current_exe().ok() }
}

/// A folder of ours that no backup holds, and that is not on the disk of the store where the system has it so.
fn beside(places: &Places) -> Option<PathBuf> {
    places.socket.parent().filter(|folder| *folder != places.state).map(Path::to_owned)
}

/// Has brought to its end what an agent before this one began, and did not live to see.
fn settle(places: &Places, spender: &Arc<Spender>, handle: &Handle) {
    for session in Ledger::open_at(&places.state, beside(places).as_deref()) {
        let (spender, handle) = (spender.clone(), handle.clone());
        handle.clone().send(Message::Job(Box::pin(async move {
            let id = SessionId::named(&session);
            // Whatever number it had, it is none of this agent's.
            let report =
                move |lease| handle.send(Message::Happened(Event::Renewed(id, Attempt(0), Ok(lease))));
            spender.settle(session, report).await;
        })));
    }
}

async fn load(
    about: &Facts,
    snapshot: &Snapshot,
    handles: &Handles,
) -> Result<(Agent, Vec<String>), StartError> {
    let from = about.store.clone();
    let loaded = tokio::task::spawn_blocking(move || from.load_all()).await;
    let Loaded { records, unreadable } =
        loaded.map_err(|_| StartError::Store("reading it failed".to_owned()))??;
    about.note_sealed(&unreadable);
    let mut unreadable: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
    let mut agent = Agent::new(random::seed());
    for record in records {
        match restore(&mut agent, handles, &record) {
            Ok(effects) => offer(snapshot, effects),
            Err(why) => unreadable.push(format!("{}: {why}", record.id)),
        }
    }
    handles.restored();
    if let Some(problem) = about.store.key_problem() {
        tracing::warn!(problem, "the key of the stored sessions");
    }
    for what in &unreadable {
        tracing::warn!(what, "not loaded");
    }
    Ok((agent, unreadable))
}

/// Takes in one session as it is on record.
pub(crate) fn restore(agent: &mut Agent, handles: &Handles, record: &Record) -> Result<Vec<Effect>, String> {
    let now = clock::now();
    if record.web.as_ref().is_some_and(|user| !web::is_sound(user)) {
        return Err("it does not say whose handle it is for".to_owned());
    }
    let about = signin::about(record)?;
    let renewable = renewable(record);
    let lease = record.lease.as_ref().map(|lease| Arc::new(restored(lease, now)));
    if let Some(user) = &record.web {
        let since = Duration::from_secs(record.created_at);
        handles.restore(SessionId::named(&record.id), user, since, now);
    }
    Ok(agent.restore(about, renewable, lease, record.login_required.clone(), now))
}

/// Before the driver runs there is nobody else to tell.
fn offer(snapshot: &Snapshot, effects: Vec<Effect>) {
    for effect in effects {
        if let Effect::Offer(id, lease) = effect {
            snapshot.offer(id, lease);
        }
    }
}
