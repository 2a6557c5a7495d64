//! What is decided: the state machine of every session, without clocks or I/O.
//!
//! An [`agent::Event`] and a reading of the clocks go in, [`agent::Effect`]s come out; whoever calls
//! carries them out and comes back with what became of them. What holds here, whatever the order:
//!
//! 1. At most one renewal per session is under way.
//! 2. Whoever asks is answered exactly once, by its own deadline at the latest.
//! 3. A lease that is handed out has more left than was asked for, by both clocks, or half its life
//!    if more was asked for than the issuer gives.
//! 4. A failure that comes when the next try has begun changes nothing; a success that comes late is kept.
//! 5. Refresh tokens are not known here: a session knows *how* it renews, never *with what*.

pub mod agent;
pub mod azure;
pub mod callback;
pub mod consent;
pub mod discovery;
pub mod host;
pub mod kept;
pub mod lock;
pub mod login;
pub mod redirect;
pub mod refusal;
pub mod schedule;
pub mod session;
pub mod time;
pub mod words;
