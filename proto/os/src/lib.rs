//! What both sides ask of the operating system: who somebody is, what in the file system is ours alone,
//! and to keep others out of a process.
//!
//! Each module is one interface; what is behind it differs from system to system, and its tests do not.

pub mod private;
pub mod process;
pub mod user;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// A folder that is this user's alone until the machine starts again, where the system makes one without
/// being asked by a variable: on macOS, `confstr(_CS_DARWIN_USER_TEMP_DIR)`.
#[cfg(target_os = "macos")]
pub fn user_temp_dir() -> Option<std::path::PathBuf> {
    macos::user_temp_dir()
}
#[cfg(windows)]
pub use windows::descriptor::{of_kernel_object, only_for};
