//! The notifications of the desktop (`org.freedesktop.Notifications`), by the bus of the session.

use std::{collections::HashMap, io, time::Duration};

use tokio::{runtime, time::timeout};
use zbus::{connection::Builder, zvariant::Value};

use crate::notices::notice::Notice;

/// A bus that hangs, or starts something for us that does not come, is given up.
const DEADLINE: Duration = Duration::from_secs(2);

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";

pub(super) fn show(notice: &Notice) -> io::Result<()> {
    within_deadline(Builder::session(), notice)
}

/// In a runtime of its own: the one that serves clients is not to wait for a desktop.
fn within_deadline(bus: zbus::Result<Builder<'_>>, notice: &Notice) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = runtime.block_on(async { timeout(DEADLINE, notify(bus, notice)).await });
    runtime.shutdown_background();
    shown.map_err(io::Error::other)?
}

async fn notify(bus: zbus::Result<Builder<'_>>, notice: &Notice) -> io::Result<()> {
    let bus = bus.map_err(io::Error::other)?.build().await.map_err(io::Error::other)?;
    let (new, as_long_as_usual) = (0_u32, -1_i32);
    let (no_actions, no_hints) = (Vec::<&str>::new(), HashMap::<&str, Value<'_>>::new());
    let arguments = (
        "sso-agent",
        new,
        "dialog-password",
        notice.title.as_str(),
        notice.body.as_str(),
        no_actions,
        no_hints,
        as_long_as_usual,
    );
    bus.call_method(Some(NAME), PATH, Some(NAME), "Notify", &arguments).await.map_err(io::Error::other)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader},
        process::{Child, Command, Stdio},
        sync::mpsc,
        thread,
    };

    use super::*;
    use crate::notices::{desk::Desk, tests::shows_what_it_is_given};

    /// A desktop, as far as notifications go.
    struct Desktop(mpsc::Sender<(String, String)>);

    #[zbus::interface(name = "org.freedesktop.Notifications")]
    impl Desktop {
        #[expect(clippy::too_many_arguments, reason = "the desktops' specification has so many")]
        fn notify(
            &self,
            _of: &str,
            _instead: u32,
            _icon: &str,
            title: &str,
            body: &str,
            _actions: Vec<String>,
            _hints: HashMap<String, Value<'_>>,
            _for: i32,
        ) -> u32 {
            self.0.send((title.to_owned(), body.to_owned())).unwrap();
            1
        }
    }

    /// A bus of its own, until it is dropped.
    struct Bus {
        daemon: Child,
        address: String,
    }

    impl Bus {
        /// Nothing where there is no program for it.
        fn start() -> Option<Self> {
            let mut daemon = Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", "--print-address"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()?;
            let mut address = String::new();
            BufReader::new(daemon.stdout.take()?).read_line(&mut address).ok()?;
            Some(Self { daemon, address: address.trim().to_owned() })
        }
    }

    impl Drop for Bus {
        fn drop(&mut self) {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }

    impl Desk for Bus {
        fn show(&self, notice: &Notice) -> io::Result<()> {
            within_deadline(Builder::address(self.address.as_str()), notice)
        }
    }

    #[test]
    fn a_bus_without_a_desktop_is_an_error_and_one_with_it_shows_notices() {
        let Some(bus) = Bus::start() else { return eprintln!("not run: there is no dbus-daemon") };
        let notice = Notice { title: "t".to_owned(), body: "b".to_owned() };
        assert!(bus.show(&notice).unwrap_err().to_string().contains("ServiceUnknown"));

        let (shown, seen) = mpsc::channel();
        let (address, (up, is_up)) = (bus.address.clone(), mpsc::channel());
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let desktop = Builder::address(address.as_str()).unwrap().name(NAME).unwrap();
                let _serving = desktop.serve_at(PATH, Desktop(shown)).unwrap().build().await.unwrap();
                up.send(()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        is_up.recv().unwrap();
        shows_what_it_is_given(&bus, &seen);
    }

    #[test]
    fn no_bus_is_an_error() {
        let nowhere = Builder::address("unix:path=/nowhere/bus");
        assert!(within_deadline(nowhere, &Notice { title: String::new(), body: String::new() }).is_err());
    }
}
