//! No service manager that has anything to say: whoever starts us waits until the socket is there.

use std::time::Duration;

use crate::rpc::socket::Listening;

/// Nobody passes sockets on.
#[derive(Debug, Default)]
pub(crate) struct Inherited(());

impl Inherited {
    pub(crate) fn take() -> Self {
        Self(())
    }

    #[expect(clippy::unused_self, reason = "other systems have some")]
    pub(crate) fn named(&mut self, _: &str) -> Option<Listening> {
        None
    }
}

pub(super) fn ready(_: &str) {}

pub(super) fn stopping() {}

pub(super) fn alive() {}

pub(super) fn watchdog() -> Option<Duration> {
    None
}
