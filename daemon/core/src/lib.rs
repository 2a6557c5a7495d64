//! What is decided: the state machine of every session, without clocks or I/O.
pub mod host;
