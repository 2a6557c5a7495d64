//! What is said between `sso-agent` and its clients.
//!
//! JSON-RPC 2.0, one object per line, over a socket that only its user can reach. This package holds
//! the words and nothing else: [`lines`] cuts bytes into messages, [`rpc`] is the envelope,
//! [`method`] says what can be asked, the files beside it what goes in and out, [`fault`] how a
//! request fails, [`places`] where both sides meet. It does no I/O.
//!
//! ```
//! use sso_agent_proto::{method::Call, rpc::Request, token::TokenGet};
//!
//! let line = br#"{"jsonrpc":"2.0","id":1,"method":"token.get","params":{"host":"example.com"}}"#;
//! let request = Request::parse(line).expect("well-formed");
//! let call = Call::read(&request.method, request.params.as_deref()).expect("known");
//! assert!(matches!(call, Call::TokenGet(TokenGet { host: Some(host), .. }) if host == "example.com"));
//! ```

pub mod agent;
pub mod app;
pub mod consent;
pub mod databrickscfg;
pub mod events;
pub mod fault;
pub mod lines;
pub mod metadata;
pub mod method;
pub mod places;
pub mod profile;
pub mod rpc;
pub mod secret;
pub mod session;
pub mod token;

/// The version of the protocol: a client that finds a higher one asks for nothing it does not know.
pub const PROTOCOL: u32 = 1;

/// How long a request waits for a token when it does not say, in seconds.
pub const DEFAULT_WAIT_S: u64 = 30;

/// How long a token stays valid at least when the request does not say, in seconds.
pub const DEFAULT_MIN_VALID_S: u64 = 60;
