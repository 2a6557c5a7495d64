//! What SDKs find under the name of the Databricks CLI: the stand-in, the CLI itself, in which order.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use super::Finding;
use crate::{commands::shim::SMALLEST, marker, programs};

/// SDKs give it no longer.
const PATIENCE: Duration = Duration::from_secs(5);

const CHECK: &str = "shim";

/// A program of that name.
#[derive(Debug)]
struct Found {
    path: PathBuf,
    ours: bool,
    /// As it says itself, if it does.
    version: Option<String>,
}

pub(super) fn check() -> Finding {
    let found: Vec<Found> = programs::on_path(marker::NAME)
        .map(|path| {
            let ours = marker::is_stand_in(&path).unwrap_or(false);
            let version = if ours { summary(&path) } else { said(&path, &["--version"]) };
            Found { path, ours, version }
        })
        .collect();
    judge(&found)
}

fn judge(found: &[Found]) -> Finding {
    let ours = found.iter().position(|one| one.ours);
    let theirs = found.iter().position(|one| !one.ours);
    let shown = |at: Option<usize>| at.and_then(|at| found.get(at)).map(show).unwrap_or_default();
    let (stand_in, real) = (shown(ours), shown(theirs));
    match (ours, theirs) {
        (None, None) => {
            Finding::ok(CHECK, "there is neither the Databricks CLI nor the stand-in for it on PATH")
        }
        (None, Some(_)) => {
            Finding::ok(CHECK, format!("the Databricks CLI is {real}; the stand-in is not on PATH"))
        }
        (Some(ours), Some(theirs)) if theirs < ours => Finding::warn(
            CHECK,
            format!("the Databricks CLI {real} comes before the stand-in {stand_in} on PATH"),
            "put the folder of the stand-in first on PATH, so that SDKs find it",
        ),
        (Some(ours), theirs) => {
            let rest = match theirs {
                Some(_) => format!("; all else goes to {real}"),
                None => "; the Databricks CLI itself is not on PATH".to_owned(),
            };
            fit(&found[ours])
                .unwrap_or_else(|| Finding::ok(CHECK, format!("SDKs find the stand-in {stand_in}{rest}")))
        }
    }
}

/// What SDKs or Python would not have of it.
fn fit(ours: &Found) -> Option<Finding> {
    let path = ours.path.display();
    let folder = ours.path.parent().unwrap_or(Path::new("/")).display();
    let again = format!("sso shim install {folder}");
    let file = fs::symlink_metadata(&ours.path).ok();
    if file.as_ref().is_some_and(fs::Metadata::is_symlink) {
        return Some(Finding::warn(
            CHECK,
            format!("{path} is a symlink, which some SDKs do not take"),
            again,
        ));
    }
    if file.is_some_and(|file| file.len() < SMALLEST) {
        return Some(Finding::warn(CHECK, format!("{path} is smaller than the 1 MiB that SDKs want"), again));
    }
    let current = ours.version.as_ref().is_some_and(|version| version.contains(env!("CARGO_PKG_VERSION")));
    let message =
        format!("the stand-in {} is not of this version ({})", show(ours), env!("CARGO_PKG_VERSION"));
    (!current).then(|| Finding::warn(CHECK, message, again))
}

fn show(found: &Found) -> String {
    let version = found.version.as_deref().unwrap_or("does not say its version");
    format!("{} ({version})", found.path.display())
}

/// Both versions of the stand-in: the one that it is as good as, and its own.
fn summary(path: &Path) -> Option<String> {
    let text = said(path, &["version", "--output", "json"])?;
    let version: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(version["Summary"].as_str()?.to_owned())
}

/// What a program prints, if it does so soon.
fn said(path: &Path, args: &[&str]) -> Option<String> {
    let mut child = Command::new(path)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?.take(SMALLEST);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        // Nobody waits any more when it took too long.
        let _ = tell.send(read.is_ok().then_some(text));
    });
    let text = told.recv_timeout(PATIENCE).ok().flatten();
    let _ = child.kill();
    let _ = child.wait();
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    fn found(path: &str, ours: bool) -> Found {
        Found { path: path.into(), ours, version: Some(format!("v1 {}", env!("CARGO_PKG_VERSION"))) }
    }

    #[test]
    fn the_order_on_path_decides() {
        let (ours, theirs) = (|| found("/a/databricks", true), || found("/b/databricks", false));
        let status = |found: &[Found]| judge(found).status;
        assert_eq!(status(&[]), Status::Ok);
        assert_eq!(status(&[ours(), theirs()]), Status::Ok);
        assert_eq!(status(&[theirs(), ours()]), Status::Warn);
        let both = judge(&[ours(), theirs()]).message;
        assert!(both.contains("stand-in /a/databricks (v1") && both.contains("/b/databricks (v1"), "{both}");
    }

    #[test]
    fn an_old_copy_is_a_finding() {
        let old = Found { version: Some("v1.0.0".into()), ..found("/a/databricks", true) };
        let finding = judge(&[old]);
        assert_eq!((finding.status, finding.hint.as_str()), (Status::Warn, "sso shim install /a"));
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_says_nothing_has_no_version() {
        assert_eq!(said(Path::new("/bin/echo"), &["v7"]).as_deref(), Some("v7"));
        assert_eq!(said(Path::new("/bin/true"), &[]), None);
        assert_eq!(said(Path::new("/nonexistent"), &[]), None);
    }
}
