//! Unix.

pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod successor;
pub(crate) mod user;
