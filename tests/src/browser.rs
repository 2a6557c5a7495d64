//! Real Chromium as the BROWSER of a sandbox (`tests/provider/browser.mjs`).

use crate::{Sandbox, parts};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the browser puts what it saw.
#[derive(Debug)]
pub struct Chromium {
    page: PathBuf,
    picture: PathBuf,
}

impl Chromium {
    /// Makes it this sandbox's browser; nothing where it or its driver is missing.
    pub fn install(sandbox: &mut Sandbox, user: &str) -> Option<Self> {
        let program = parts::system("chromium")?;
        let driver = parts::provider()?.join("browser.mjs");
        let browser = Self { page: sandbox.path("page.json"), picture: sandbox.path("page") };
        sandbox.set("BROWSER", driver.display().to_string());
        sandbox.set("SSO_TEST_CHROMIUM", program.display().to_string());
        sandbox.set("SSO_TEST_PAGE", browser.page.display().to_string());
        sandbox.set("SSO_TEST_SCREENSHOT", browser.picture.display().to_string());
        sandbox.set("SSO_TEST_USER", user);
        sandbox.set("SSO_TEST_JAVASCRIPT", "0");
        Some(browser)
    }

    /// The last page: `origin`, `path`, `title`, `text`, and where it `asked` to sign in.
    pub fn page(&self) -> Value {
        let start = Instant::now();
        while !self.page.exists() {
            assert!(start.elapsed() < PATIENCE, "the browser saw no last page");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        serde_json::from_slice(&fs::read(&self.page).expect("it is there")).expect("JSON")
    }

    /// The pictures of it, light and dark.
    pub fn pictures(&self) -> [Vec<u8>; 2] {
        ["light", "dark"].map(|scheme| {
            fs::read(format!("{}-{scheme}.png", self.picture.display()))
                .expect("taken before the page was told")
        })
    }
}
