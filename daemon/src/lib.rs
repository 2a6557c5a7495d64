//! What is done: sockets, issuers, the store, and the driver that owns every session.
//!
//! `app` builds it, `driver` runs it. What is decided is decided in `sso-agent-core`.

pub mod app;
#[cfg(feature = "demo")]
pub mod demo;

mod account;
mod clock;
mod config;
mod driver;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handle;
mod http;
mod issuer;
mod log;
mod manager;
mod notices;
mod padlock;
mod peer;
mod process;
mod random;
mod rpc;
mod shielded;
mod signals;
mod signin;
mod snapshot;
mod spender;
mod store;
mod web;

use sso_agent_proto::places::Places;

/// So many threads wait for disks and look-ups.
const BLOCKING: usize = 64;

/// Comes first in every process of ours, before the arguments are read: nobody else reads its memory, it
/// leaves no core, and what other tools keep in the environment is gone. [`run`] says if any of it failed.
pub fn harden() {
    let _ = process::harden();
    let _ = process::shed();
}

/// The whole program, as `sso-agent run` runs it; what it exits with.
pub fn run(ephemeral: bool, detach: bool) -> u8 {
    let (hardened, shed) = (process::harden(), process::shed());
    if detach {
        process::detach();
    }
    log::start();
    if let Err(error) = hardened {
        tracing::warn!(%error, "this process could be dumped");
    }
    if let Err(error) = shed {
        tracing::warn!(%error, "the environment keeps secrets of other tools");
    }
    let places = match Places::from_env() {
        Ok(places) => places,
        Err(error) => return failed(&error, 1),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    let outcome = runtime.block_on(app::run(app::Options { places, ephemeral }, || {}, told_to_stop()));
    // A look-up or a disk that hangs in a thread of its own holds nobody up.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => 0,
        Err(error) => failed(&error, error.exit_code()),
    }
}

/// The process that spends refresh tokens for an agent, which speaks to it by stdin and stdout; what it exits
/// with. It ends when the agent has no more for it to do, and not when somebody else tells it to.
pub fn spend() -> u8 {
    let hardened = process::harden();
    process::detach();
    log::start();
    if let Err(error) = hardened {
        tracing::warn!(%error, "this process could be dumped");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    let outcome = runtime.block_on(async {
        let ignored = signals::ignore();
        let outcome = spender::serve(tokio::io::stdin(), tokio::io::stdout()).await;
        drop(ignored);
        outcome
    });
    runtime.shutdown_background();
    match outcome {
        Ok(()) => 0,
        Err(error) => failed(&error, 1),
    }
}

/// One loop, and threads beside it for what waits.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING).build()
}

fn failed(error: &dyn std::error::Error, code: u8) -> u8 {
    tracing::error!("cannot run: {error}");
    code
}

/// Resolves when this process is told to end. Told once more it goes on with what it began, since a refresh
/// token may be on its way; told a third time it ends at once, as `gpg-agent` does.
async fn told_to_stop() {
    let Ok(mut signals) = signals::Stop::listen() else { return std::future::pending().await };
    signals.told().await;
    tokio::spawn(async move {
        signals.told().await;
        tracing::warn!("stopping already: what was begun comes to its end first");
        signals.told().await;
        std::process::exit(i32::from(failed(&Impatience, 1)));
    });
}

#[derive(Debug, thiserror::Error)]
#[error("told to stop three times: what was under way may be lost")]
struct Impatience;
