//! Windows.

mod access;
pub(crate) mod descriptor;
mod lock;
pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod successor;
pub(crate) mod user;
