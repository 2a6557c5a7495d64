//! A small disk of one's own, to be filled.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Kept in memory; gone when dropped.
#[derive(Debug)]
pub(super) struct Disk(PathBuf);

impl Disk {
    /// Makes one, as this folder; it takes root.
    pub(super) fn under(folder: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        mount("none", folder, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"size=1m,mode=0700")?;
        Ok(Self(folder.to_owned()))
    }

    /// Leaves not a byte.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut file = fs::File::create(self.filler())?;
        for size in [64 * 1024, 4096, 512, 1] {
            let piece = vec![0; size];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    pub(super) fn empty(&self) {
        let _ = fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
