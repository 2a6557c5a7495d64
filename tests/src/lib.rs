//! Runs the programs from outside, as a person or a tool would: in a home of their own, against an
//! issuer that is real, with nothing shared between two tests.
//!
//! The hard part is knowing when: nothing here sleeps for a while and hopes. An agent is up when it says
//! so to its service manager, a provider when it has printed its address, a herd when every member has.

pub mod agent;
pub mod arguments;
pub mod browser;
pub mod browsers;
pub mod clients;
pub mod herd;
pub mod http;
pub mod load;
pub mod nspawn;
pub mod parts;
pub mod provider;
pub mod rpc;
pub mod sandbox;
pub mod sso;
pub mod token;
pub mod web_app;

pub use agent::Agent;
pub use provider::Provider;
pub use sandbox::Sandbox;
pub use sso::Finished;
