//! Who somebody is, as the kernel has it.

use std::{fmt, io};

use crate::system::user;

/// A user of this machine: a number on Unix, a SID on Windows. Says nothing but whether two are the same;
/// shown to people as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User(pub(crate) user::Id);

impl User {
    /// Whose process this is.
    ///
    /// # Errors
    /// Windows does not say.
    pub fn me() -> io::Result<Self> {
        user::me().map(Self)
    }

    /// The user of that number.
    #[cfg(unix)]
    pub fn numbered(uid: u32) -> Self {
        Self(uid)
    }

    /// Whose process that is.
    ///
    /// # Errors
    /// There is none, or it is not ours to ask.
    #[cfg(windows)]
    pub fn of_process(pid: u32) -> io::Result<Self> {
        user::of_process(pid).map(Self)
    }

    /// Who owns what a handle leads to: a pipe, a process.
    ///
    /// # Errors
    /// The handle does not allow to ask.
    #[cfg(windows)]
    pub fn owning(object: std::os::windows::io::BorrowedHandle<'_>) -> io::Result<Self> {
        user::owning(object).map(Self)
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_are_who_we_were_and_it_can_be_told() {
        let me = User::me().unwrap();
        assert_eq!(me, User::me().unwrap());
        assert!(!me.to_string().is_empty());
    }

    #[cfg(windows)]
    #[test]
    fn a_process_of_ours_is_ours_and_none_is_nobodys() {
        assert_eq!(User::of_process(std::process::id()).unwrap(), User::me().unwrap());
        assert!(User::me().unwrap().to_string().starts_with("S-1-5-"));
        assert!(User::of_process(0).is_err());
    }
}
