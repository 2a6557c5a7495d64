//! Opens one address in the person's browser, if it is one that may be opened.
//!
//! What comes from elsewhere must not become a command: the address is parsed and written anew, has no
//! control characters, and is one argument of a program that no shell starts.

use sso_agent_client::address::is_for_a_browser;
use url::Url;
use webbrowser::{Browser, BrowserOptions};

/// Says whether a browser took it.
pub(crate) fn open(address: &str) -> bool {
    let Some(url) = checked(address) else { return false };
    match chosen::named() {
        Some(words) => chosen::open(&words, &url),
        None => {
            let mut quietly = BrowserOptions::new();
            quietly.with_suppress_output(true);
            webbrowser::open_browser_with_options(Browser::Default, url.as_str(), &quietly).is_ok()
        }
    }
}

/// Says whether there seems to be one, and opens nothing.
pub(crate) fn is_there() -> bool {
    if let Some(words) = chosen::named() {
        return chosen::is_there(&words);
    }
    let mut only_looking = BrowserOptions::new();
    only_looking.with_dry_run(true).with_suppress_output(true);
    webbrowser::open_browser_with_options(Browser::Default, "http://127.0.0.1/", &only_looking).is_ok()
}

/// What `BROWSER` says, which elsewhere the library heeds.
#[cfg(any(windows, target_os = "macos"))]
mod chosen {
    use std::{
        env,
        process::{Command, Stdio},
    };

    use url::Url;

    use crate::programs;

    /// The program and its arguments.
    pub(super) fn named() -> Option<Vec<String>> {
        env::var("BROWSER").ok().map(|named| programs::words(&named)).filter(|words| !words.is_empty())
    }

    /// It takes the address where `%s` stands, or last.
    pub(super) fn open(words: &[String], url: &Url) -> bool {
        let mut command = Command::new(programs::typed(words[0].as_ref()));
        let has_place = words.iter().any(|word| word.contains("%s"));
        command.args(words[1..].iter().map(|word| word.replace("%s", url.as_str())));
        if !has_place {
            command.arg(url.as_str());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
    }

    pub(super) fn is_there(words: &[String]) -> bool {
        programs::find(words[0].as_ref()).is_some()
    }
}

#[cfg(not(any(windows, target_os = "macos")))]
mod chosen {
    use url::Url;

    pub(super) fn named() -> Option<Vec<String>> {
        None
    }

    pub(super) fn open(_: &[String], _: &Url) -> bool {
        false
    }

    pub(super) fn is_there(_: &[String]) -> bool {
        false
    }
}

/// `https`, or `http` to this machine.
fn checked(address: &str) -> Option<Url> {
    let url = Url::parse(address).ok()?;
    // Both as it came and as it is written anew: two readings of one text may differ.
    (is_for_a_browser(address) && is_for_a_browser(url.as_str())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_for_browsers_are_opened() {
        for address in ["https://example.com/a?b=c", "http://127.0.0.1:8020/start/x", "http://[::1]:1/"] {
            assert_eq!(checked(address).unwrap().as_str(), address);
        }
        for address in [
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "--new-window",
            "https://example.com/\n--x",
            "https://example.com/ --x",
            "",
        ] {
            assert!(checked(address).is_none(), "{address}");
        }
    }
}
