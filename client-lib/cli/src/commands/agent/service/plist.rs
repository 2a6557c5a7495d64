//! The property list of the launch agent, with the agent's program and places in it.

use std::path::{Path, PathBuf};

use sso_agent_client::proto::places::Places;

const TEMPLATE: &str = include_str!("../../../../../../systemd/com.github.sso-agent.plist");

/// What launchd is to run, and where.
pub(super) fn text(program: &Path, places: &Places, log: &Path) -> String {
    let put =
        |text: String, (mark, path): (&str, &Path)| text.replace(mark, &escaped(&path.to_string_lossy()));
    let marks = [
        ("@PROGRAM@", program),
        ("@SOCKET@", &places.socket),
        ("@HTTP_SOCKET@", &places.http_socket),
        ("@LOG@", log),
    ];
    marks.into_iter().fold(TEMPLATE.to_owned(), put)
}

/// The program in a property list that [`text`] made.
pub(super) fn program(text: &str) -> Option<PathBuf> {
    let (_, arguments) = text.split_once("<key>ProgramArguments</key>")?;
    let (_, first) = arguments.split_once("<string>")?;
    Some(unescaped(first.split_once("</string>")?.0).into())
}

/// XML's own, and what our marks are made of.
const ESCAPES: [(&str, &str); 6] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&apos;"), ("@", "&#64;")];

fn escaped(text: &str) -> String {
    ESCAPES.iter().fold(text.to_owned(), |text, (plain, escaped)| text.replace(plain, escaped))
}

fn unescaped(text: &str) -> String {
    ESCAPES.iter().rev().fold(text.to_owned(), |text, (plain, escaped)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            socket: "/var/folders/a/T/sso-agent/agent.sock".into(),
            http_socket: "/var/folders/a/T/sso-agent/http.sock".into(),
            config: "/c".into(),
            state: "/s".into(),
        }
    }

    #[test]
    fn the_property_list_is_the_one_that_is_written_down() {
        let made = text(Path::new("/opt/sso/bin/sso-agent"), &places(), Path::new("/s/agent.log"));
        assert_eq!(made, include_str!("../../../../tests/golden/com.github.sso-agent.plist"));
    }

    #[test]
    fn a_path_may_have_anything_in_it() {
        for path in ["/Users/a b/R&D <x> \"y\" 'z'/sso-agent", "/&amp;lt;/@LOG@"] {
            let made = text(Path::new(path), &places(), Path::new("/s/agent.log"));
            assert!(
                !made.contains("R&D") && made.matches("<key>").count() == TEMPLATE.matches("<key>").count()
            );
            assert_eq!(program(&made).unwrap(), Path::new(path));
        }
        assert_eq!(program("<plist/>"), None);
    }
}
