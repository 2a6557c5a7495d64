//! Where notices are shown.

#[cfg(any(target_os = "macos", windows, test))]
mod program;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "desk/none.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "desk/linux.rs"]
mod system;
#[cfg(target_os = "macos")]
#[path = "desk/macos.rs"]
mod system;
#[cfg(windows)]
#[path = "desk/windows.rs"]
mod system;

use std::io;

use super::notice::Notice;

/// The desktop of whoever runs us.
#[derive(Debug)]
pub(crate) struct SystemDesk;

/// Shows notices.
pub(crate) trait Desk: Send + Sync + 'static {
    /// Shows this one. Blocks, for some seconds at most.
    ///
    /// # Errors
    /// There is no desktop, or it does not take it.
    fn show(&self, notice: &Notice) -> io::Result<()>;
}

impl Desk for SystemDesk {
    fn show(&self, notice: &Notice) -> io::Result<()> {
        system::show(notice)
    }
}
