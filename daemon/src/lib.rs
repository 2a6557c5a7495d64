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
mod peer;
mod process;
mod random;
mod rpc;
mod signin;
mod snapshot;
mod spender;
mod store;
mod systemd;
mod web;

use sso_agent_proto::places::Places;
use tokio::signal::unix::{SignalKind, signal};

/// So many threads wait for disks and look-ups.
const BLOCKING: usize = 64;

/// The whole program, as `sso-agent run` runs it; what it exits with.
pub fn run(ephemeral: bool, detach: bool) -> u8 {
    process::harden();
    if detach {
        process::detach();
    }
    log::start();
    let places = match Places::from_env() {
        Ok(places) => places,
        Err(error) => return failed(&error, 1),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
    {
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

fn failed(error: &dyn std::error::Error, code: u8) -> u8 {
    tracing::error!("cannot run: {error}");
    code
}

/// Resolves when this process is told to end.
async fn told_to_stop() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
