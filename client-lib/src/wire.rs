//! Calls as lines, and lines as answers: what both clients share, without I/O.

use std::io::ErrorKind;

use secrecy::zeroize::Zeroizing;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sso_agent_proto::{
    agent::Done,
    app::AppCall,
    events::Event,
    fault::{Fault, Kind},
    method::Call,
    rpc::{Id, Incoming, RpcError},
    session::{Progress, Step},
};

use crate::{Error, Result, address::is_for_a_browser};

/// A line that may hold a secret.
pub(crate) type Line = Zeroizing<Vec<u8>>;

/// Why a connection is of no use any more.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The agent hung up: it stopped, or it was replaced.
    HungUp,
    /// It did not answer in time.
    Late,
    /// It sent what it should not.
    Nonsense(&'static str),
    /// The answer, though not the one that was hoped for.
    Answered(Error),
}

impl Trouble {
    /// As it is told to whoever made the call: a time that is over means something else to a consent than to
    /// what can be asked for again.
    pub(crate) fn with(self, call: &Call) -> Error {
        match (self, call) {
            (Self::Answered(Error::Refused(fault)), Call::ConsentFinish(_))
                if fault.kind() == Kind::Timeout =>
            {
                Error::Expired(fault)
            }
            (trouble, _) => trouble.into(),
        }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::HungUp => Self::hung_up(),
            Trouble::Late => Self::silent(),
            Trouble::Nonsense(what) => Self::broken(what),
            Trouble::Answered(error) => error,
        }
    }
}

impl From<std::io::Error> for Trouble {
    /// Whatever a local socket reports, there is no more to come from it.
    fn from(error: std::io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            Self::Late
        } else {
            Self::HungUp
        }
    }
}

/// The request, newline included.
pub(crate) fn request(id: u64, call: &Call) -> Line {
    Zeroizing::new(call.line(&Id::from(id)))
}

/// Whether asking once more after the agent was lost does no harm.
pub(crate) fn repeatable(call: &Call) -> bool {
    match call {
        Call::AgentInfo
        | Call::AgentReload
        | Call::AgentRekey(_)
        | Call::TokenGet(_)
        | Call::SessionList(_)
        | Call::SessionShow(_)
        | Call::ProfileList
        | Call::MetadataUrl(_)
        | Call::ConsentStart(_) => true,
        Call::App(call) => match call {
            AppCall::List(_)
            | AppCall::Get(_)
            | AppCall::Enrollment(_)
            | AppCall::PublishedList(_)
            | AppCall::PublishedCatalogue(_)
            | AppCall::Kept => true,
            AppCall::Create(_)
            | AppCall::Update(_)
            | AppCall::Delete(_)
            | AppCall::Enroll(_)
            | AppCall::PublishedAdd(_)
            | AppCall::PublishedUpdate(_)
            | AppCall::PublishedRemove(_)
            | AppCall::Forget(_) => false,
        },
        Call::AgentShutdown
        | Call::AgentLock(_)
        | Call::AgentUnlock(_)
        | Call::SessionLogin(_)
        | Call::SessionImport(_)
        | Call::SessionLogout(_)
        | Call::ConsentFinish(_)
        | Call::ConsentEnd(_)
        | Call::EventsSubscribe(_) => false,
    }
}

/// What a line means to the request `id`: its answer, or nothing yet.
pub(crate) fn answer<T: DeserializeOwned>(
    line: &[u8],
    id: u64,
    on_step: &mut dyn FnMut(Step),
) -> std::result::Result<Option<T>, Trouble> {
    match Incoming::parse(line) {
        Some(Incoming::Reply(of, outcome)) if of == Id::from(id) || (of == Id::Null && outcome.is_err()) => {
            read(outcome).map(Some)
        }
        Some(Incoming::Reply(..)) => Ok(None),
        Some(Incoming::Notice(method, params)) => {
            if method == "session.login.progress"
                && let Some(progress) = params.and_then(parse::<Progress>)
                && progress.request_id == Id::from(id)
            {
                if let Step::Authorize { url } = &progress.step
                    && !is_for_a_browser(url)
                {
                    return Err(Trouble::Nonsense("the agent sent an address that is not for a browser"));
                }
                on_step(progress.step);
            }
            Ok(None)
        }
        None => Err(Trouble::Nonsense("the agent sent what is no JSON-RPC message")),
    }
}

/// The event in a line, if there is one that this version knows.
pub(crate) fn event(line: &[u8]) -> Option<Event> {
    match Incoming::parse(line) {
        Some(Incoming::Notice(method, params)) if method == "event" => params.and_then(parse),
        Some(Incoming::Notice(..) | Incoming::Reply(..)) | None => None,
    }
}

/// The result, or why there is none.
pub(crate) fn read<T: DeserializeOwned>(
    outcome: std::result::Result<&RawValue, RpcError>,
) -> std::result::Result<T, Trouble> {
    match outcome {
        Ok(result) => {
            parse(result).ok_or(Trouble::Nonsense("the agent sent a result of an unexpected shape"))
        }
        Err(error) => Err(Trouble::Answered(refusal(error))),
    }
}

fn parse<T: DeserializeOwned>(value: &RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn refusal(error: RpcError) -> Error {
    match error.data {
        Some(data) => Error::Refused(Fault { message: error.message, data }),
        None => Error::broken(format!("the agent did not take the request: {}", error.message)),
    }
}

/// Checks the answer to a call that says nothing but that it is done.
pub(crate) fn done(_: Done) -> Result<()> {
    Ok(())
}
