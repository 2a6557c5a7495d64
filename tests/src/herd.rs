//! Many processes, such as `sso token`, that stand ready and are let go at the same instant.
//!
//! Each is a shell that has opened the gate, a FIFO, says so, and becomes `sso` when the gate's only
//! writer lets go of it: the end of the file reaches all of them at once.

use crate::{Finished, Sandbox, parts};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

const MEMBER: &str = r#"exec 3<"$1"; echo >>"$2"; read -r _ <&3; exec 3<&-; shift 2; exec "$@""#;

/// A herd that waits at the gate.
#[derive(Debug)]
pub struct Herd {
    gate: File,
    members: Vec<(Child, PathBuf)>,
}

impl Herd {
    /// Brings so many processes to the gate, each with these arguments for `sso`.
    pub fn gather(sandbox: &Sandbox, size: usize, args: &[&str]) -> Self {
        Self::of(sandbox, size, |gate, ready| {
            let mut member = sandbox.command("sh");
            member.args(["-c", MEMBER, "member"]).args([gate, ready]).arg(parts::program("sso")).args(args);
            member
        })
    }

    /// Brings so many of any other program to the gate: one that opens the first path to read it, writes a
    /// byte to the second, reads the first to its end, and goes on.
    pub fn of(sandbox: &Sandbox, size: usize, member: impl Fn(&Path, &Path) -> Command) -> Self {
        let folder = tempfile::Builder::new().prefix("herd-").tempdir_in(sandbox.path("")).expect("a folder");
        let folder = folder.keep();
        let [gate, ready] = ["gate", "ready"].map(|name| folder.join(name));
        for fifo in [&gate, &ready] {
            Finished::of(sandbox.command("mkfifo").arg(fifo)).ok();
        }
        // Open for both, so that neither side waits for the other to open it.
        let both = |path| OpenOptions::new().read(true).write(true).open(path).expect("our own FIFO");
        let holder = both(&gate);
        let mut ready_end = both(&ready);
        let members = (0..size)
            .map(|number| {
                let out = folder.join(number.to_string());
                let child = member(&gate, &ready)
                    .stdout(File::create(&out).expect("a new file"))
                    .stderr(File::create(out.with_extension("err")).expect("a new file"))
                    .spawn();
                (child.expect("room for another process"), out)
            })
            .collect();
        let mut all = vec![0; size];
        ready_end.read_exact(&mut all).expect("every member says one byte");
        Self { gate: holder, members }
    }

    /// Opens the gate.
    pub fn release(self) -> Running {
        drop(self.gate);
        Running { members: self.members }
    }
}

/// A herd on its way.
#[derive(Debug)]
pub struct Running {
    members: Vec<(Child, PathBuf)>,
}

impl Running {
    /// The processes themselves, for who wants to watch them.
    pub fn processes(self) -> Vec<Child> {
        self.members.into_iter().map(|(child, _)| child).collect()
    }

    /// Waits for every member.
    pub fn finish(self) -> Vec<Finished> {
        let finish = |(mut child, out): (Child, PathBuf)| {
            let status = child.wait().expect("our own child");
            let text = |path| fs::read_to_string(path).expect("programs print UTF-8");
            Finished { code: status.code(), stdout: text(&out), stderr: text(&out.with_extension("err")) }
        };
        self.members.into_iter().map(finish).collect()
    }
}
