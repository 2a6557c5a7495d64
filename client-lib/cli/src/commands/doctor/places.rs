//! The folders of the agent: whether they are ours, and nobody else's.

use std::path::Path;

use sso_agent_client::proto::places::Places;

use super::Finding;

#[cfg(unix)]
pub(super) fn check(places: &Places) -> [Finding; 2] {
    let folder = places.socket.parent().unwrap_or(Path::new("/"));
    [look("socket", folder), look("state", &places.state)]
}

/// Pipes are in no folder; whose one is, the client asks before it writes.
#[cfg(not(unix))]
pub(super) fn check(places: &Places) -> [Finding; 2] {
    let pipe = places.socket.display();
    let socket =
        Finding::ok("socket", format!("the agent is met at the pipe {pipe}, which lets in you alone"));
    [socket, look("state", &places.state)]
}

#[cfg(unix)]
fn look(check: &'static str, folder: &Path) -> Finding {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use sso_agent_os::user::User;

    let is_ours = |uid| User::me().is_ok_and(|me| me == User::numbered(uid));
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            let message = format!("{} is not a folder", folder.display());
            Finding::fail(check, message, "move it away; the agent makes the folder")
        }
        Ok(found) => judge(check, folder, found.mode(), found.uid(), is_ours(found.uid())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok(check, format!("{} is not there yet; the agent makes it", folder.display()))
        }
        Err(error) => {
            let message = format!("{} cannot be looked at: {error}", folder.display());
            Finding::fail(check, message, "see the permissions of the folders above it")
        }
    }
}

/// Looks, where the agent would also mend.
#[cfg(not(unix))]
fn look(check: &'static str, folder: &Path) -> Finding {
    use sso_agent_os::private::{self, NotPrivate};

    let place = folder.display();
    match private::is_private(folder) {
        Ok(true) => Finding::ok(check, format!("{place} is yours alone")),
        Ok(false) => {
            let hint = "the agent takes their access away at its next start";
            Finding::warn(check, format!("others can use {place}"), hint)
        }
        Err(NotPrivate::Refused(why)) => {
            Finding::fail(check, format!("{place}: {why}"), "set SSO_AGENT_STATE to a folder of your own")
        }
        Err(NotPrivate::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::ok(check, format!("{place} is not there yet; the agent makes it"))
        }
        Err(NotPrivate::Io(error)) => {
            let hint = "see the permissions of the folders above it";
            Finding::fail(check, format!("{place} cannot be looked at: {error}"), hint)
        }
    }
}

/// The agent refuses a folder of somebody else or of everybody, and a socket folder that others can write.
/// Its state folder it makes private at its next start.
#[cfg(unix)]
fn judge(check: &'static str, folder: &Path, mode: u32, owner: u32, is_ours: bool) -> Finding {
    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o022;
    const OTHERS: u32 = 0o077;
    const ELSEWHERE: &str = "set SSO_AGENT_SOCK and SSO_AGENT_STATE to places in folders of your own";
    let place = folder.display();
    if !is_ours {
        return Finding::fail(check, format!("{place} belongs to user {owner}, not to you"), ELSEWHERE);
    }
    if mode & STICKY != 0 {
        return Finding::fail(check, format!("{place} is a folder that everybody shares"), ELSEWHERE);
    }
    let shown = format!("{place} has mode {:04o}", mode & 0o7777);
    let hint = format!("chmod 700 {place}");
    match mode {
        mode if mode & OTHERS_WRITE != 0 => {
            Finding::fail(check, format!("{shown}: others can write it"), hint)
        }
        mode if mode & OTHERS != 0 => Finding::warn(check, format!("{shown}: others can look into it"), hint),
        _ => Finding::ok(check, format!("{place} is yours alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};
    use std::fs;

    #[cfg(unix)]
    #[test]
    fn a_folder_is_as_good_as_its_owner_and_mode() {
        let status = |mode, owner| judge("state", Path::new("/s"), mode, owner, owner == 7).status;
        assert_eq!(status(0o040_700, 7), Status::Ok);
        assert_eq!(status(0o040_755, 7), Status::Warn);
        assert_eq!(status(0o040_770, 7), Status::Fail);
        assert_eq!(status(0o040_700, 8), Status::Fail);
        let shared = judge("state", Path::new("/tmp"), 0o041_777, 7, true);
        assert!(shared.status == Status::Fail && !shared.hint.contains("chmod"), "{shared:?}");
        let told = judge("state", Path::new("/s"), 0o040_775, 7, true);
        assert_eq!(
            (told.message.as_str(), told.hint.as_str()),
            ("/s has mode 0775: others can write it", "chmod 700 /s")
        );
    }

    #[test]
    fn what_is_not_there_yet_is_no_finding_and_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let none = folder.path().join("none");
        assert_eq!(look("state", &none).status, Status::Ok);
        assert!(!none.exists());
    }

    #[test]
    fn a_real_folder_and_a_file_in_its_place_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        sso_agent_os::private::create_dir(&own).unwrap();
        assert_eq!(look("state", &own).status, Status::Ok);
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(look("state", &file).status, Status::Fail);
    }
}
