//! Windows.

mod access;
pub(crate) mod descriptor;
pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod user;
