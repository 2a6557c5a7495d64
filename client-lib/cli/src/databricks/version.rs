//! `databricks version`: which CLI this is as good as. It asks nobody, so that it is quick.

use serde_json::json;

use crate::{
    args::{Format, Said},
    say::{self, Fail},
};

/// SDKs pass `--force-refresh` from 0.296.0 on, and `--profile` from 0.207.1 on.
const VERSION: [u32; 3] = [1, 13, 0];
/// Of the CLI's source that this one is compared with.
const COMMIT: &str = "7bbe285";
const COMMIT_TIME: &str = "2026-08-21T00:00:00Z";

pub(crate) fn run(said: &Said) -> Result<(), Fail> {
    let [major, minor, patch] = VERSION;
    let version = format!("{major}.{minor}.{patch}");
    match said.format() {
        Format::Text => say::text(format!("Databricks CLI v{version}\n")),
        Format::Json => {
            let ours = concat!("stand-in of sso-agent ", env!("CARGO_PKG_VERSION"));
            let shown = json!({
                "ProjectName": "cli", "Version": version, "Branch": "sso-agent", "Tag": format!("v{version}"),
                "ShortCommit": COMMIT, "FullCommit": COMMIT, "CommitTime": COMMIT_TIME,
                "Summary": format!("v{version} ({ours})"), "Major": major, "Minor": minor, "Patch": patch,
                "Prerelease": "", "IsSnapshot": false, "BuildTime": COMMIT_TIME,
            });
            say::text(say::json(&shown)? + "\n")
        }
    }
}
