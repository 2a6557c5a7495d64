//! A system whose desktop is not known.

use std::io;

use crate::notices::notice::Notice;

pub(super) fn show(_: &Notice) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
