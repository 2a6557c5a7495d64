//! A machine of its own, as far as systemd can tell: a small Debian whose first process is systemd, with
//! a user manager for one person. For what no unit test can show: that the units work.
//!
//! It shares this machine's network, so that the person in it can sign in at a provider out here.

use crate::{Finished, parts};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The person who lives there.
const USER: &str = "tester";
const BOOT: Duration = Duration::from_secs(120);

/// systemd-nspawn wants the unified hierarchy, which some kernels here have beside the older one only.
const START: &str = r#"
if [ -d /sys/fs/cgroup/unified ]; then mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup; fi
UNIFIED_CGROUP_HIERARCHY=1 exec systemd-nspawn --quiet --directory="$1" --register=no --keep-unit \
    --private-users=no --console=pipe --boot"#;

/// A booted system; switched off when dropped.
#[derive(Debug)]
pub struct Machine {
    nspawn: Child,
    first: u32,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Boots one, with our programs in its person's `~/.cargo/bin`; why not, if it cannot be.
    pub fn boot() -> Result<Self, &'static str> {
        if !parts::is_root() {
            return Err("only root can boot a machine");
        }
        let system = parts::fetched("rootfs").ok_or("the system to boot is missing")?;
        parts::system("systemd-nspawn").ok_or("systemd-nspawn is missing")?;
        let folder =
            tempfile::Builder::new().prefix("sso-vm-").tempdir_in("/tmp").expect("/tmp can be written");
        let root = folder.path().join("root");
        Finished::of(Command::new("cp").args(["-a", "--reflink=auto"]).args([&system, &root])).ok();
        // The smallest Debian has none, and sign-ins come back to `localhost`.
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").expect("a copy of our own");
        let log = File::create(folder.path().join("console")).expect("a new file");
        let nspawn = Command::new("unshare")
            .args(["--mount", "sh", "-c", START, "start"])
            .arg(&root)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file can be shared"))
            .stdout(log)
            .spawn()
            .expect("unshare runs");
        let mut machine = Self { nspawn, first: 0, folder };
        machine.wait_for_systemd();
        machine.settle();
        Ok(machine)
    }

    /// Its files, seen from here.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The person's home, seen from here.
    pub fn home(&self) -> PathBuf {
        self.root().join("home").join(USER)
    }

    /// Runs a command in it as its superuser.
    pub fn run(&self, args: &[&str]) -> Finished {
        Finished::of(self.enter().args(args))
    }

    /// Runs a command in it as the person, with the environment of a login.
    pub fn as_person(&self, args: &[&str]) -> Finished {
        let mut command = self.enter();
        command.args(["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "env", "--chdir"]);
        command.args([&format!("/home/{USER}"), "--ignore-environment", &format!("HOME=/home/{USER}")]);
        command.args([&format!("PATH=/home/{USER}/.cargo/bin:/usr/bin"), "XDG_RUNTIME_DIR=/run/user/1000"]);
        command.args([&format!("BROWSER=/home/{USER}/.cargo/bin/follow"), "SSO_AGENT_AUTOSTART=0"]);
        command.args(["timeout", "60"]).args(args);
        Finished::of(&mut command)
    }

    /// Asks the person's service manager.
    pub fn systemctl(&self, args: &[&str]) -> Finished {
        self.as_person(&[&["systemctl", "--user"], args].concat())
    }

    /// One property of one of the person's units.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit]).ok().to_owned()
    }

    /// Waits until a property has a value that will do.
    pub fn wait_for(&self, unit: &str, name: &str, enough: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let value = self.property(unit, name);
            if enough(&value) {
                return value;
            }
            assert!(start.elapsed() < BOOT, "{name} of {unit} stays {value}:\n{}", self.journal());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// What the agent wrote to the journal.
    pub fn journal(&self) -> String {
        self.as_person(&["journalctl", "--user", "-u", "sso-agent", "--no-pager", "-o", "cat"]).stdout
    }

    /// Starts the person's service manager anew.
    pub fn new_login(&self) {
        self.run(&["systemctl", "restart", "user@1000.service"]).ok();
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--all", "--root", "--wd", "--"]);
        command.stdin(Stdio::null());
        command
    }

    fn wait_for_systemd(&mut self) {
        let start = Instant::now();
        while self.first == 0
            || !self.run(&["systemctl", "is-system-running", "--wait"]).stdout.contains("running")
        {
            self.first = descendant(self.nspawn.id(), "systemd").unwrap_or(0);
            let console = || fs::read_to_string(self.folder.path().join("console")).unwrap_or_default();
            assert!(self.nspawn.try_wait().expect("our own child").is_none(), "it ended: {}", console());
            assert!(start.elapsed() < BOOT, "it does not boot: {}", console());
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }

    fn settle(&self) {
        self.run(&["useradd", "--create-home", "--uid", "1000", USER]).ok();
        let programs = self.home().join(".cargo/bin");
        fs::create_dir_all(&programs).expect("a new folder");
        for name in ["sso", "sso-agent", "follow"] {
            fs::copy(parts::program(name), programs.join(name)).expect("the program is built");
        }
        self.run(&["chown", "-R", "tester:tester", "/home/tester"]).ok();
        self.run(&["loginctl", "enable-linger", USER]).ok();
        self.run(&["systemctl", "start", "user@1000.service"]).ok();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Ending its first process ends all the others, and then nspawn itself.
        let first = i32::try_from(self.first).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = first {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        } else {
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
    }
}

/// A process of that name below another one.
fn descendant(of: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    let children: Vec<u32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    let is_it = |pid: &u32| comm(Path::new(&format!("/proc/{pid}/comm"))).as_deref() == Some(name);
    children
        .iter()
        .copied()
        .find(|pid| is_it(pid))
        .or_else(|| children.iter().find_map(|pid| descendant(*pid, name)))
}

fn comm(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok().map(|name| name.trim_end().to_owned())
}
