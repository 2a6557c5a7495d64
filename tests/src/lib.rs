//! Runs the programs from outside, as a person or a tool would: in a home of their own, against an
//! issuer that is real, with nothing shared between two tests.
//!
//! The hard part is knowing when: nothing here sleeps for a while and hopes. An agent is up when it says
//! so to its service manager, a provider when it has printed its address, a herd when every member has.

#[cfg(unix)]
pub mod agent;
pub mod anywhere;
#[cfg(unix)]
pub mod arguments;
#[cfg(unix)]
pub mod browser;
#[cfg(unix)]
pub mod browsers;
#[cfg(unix)]
pub mod clients;
mod finished;
#[cfg(unix)]
pub mod herd;
pub mod http;
#[cfg(unix)]
pub mod load;
#[cfg(unix)]
pub mod memory;
#[cfg(unix)]
pub mod nspawn;
pub mod parts;
#[cfg(unix)]
pub mod provider;
#[cfg(unix)]
pub mod rpc;
#[cfg(unix)]
pub mod sandbox;
#[cfg(unix)]
pub mod sso;
#[cfg(unix)]
pub mod token;
#[cfg(unix)]
pub mod web_app;

#[cfg(unix)]
pub use agent::Agent;
pub use finished::Finished;
#[cfg(unix)]
pub use provider::Provider;
#[cfg(unix)]
pub use sandbox::Sandbox;
