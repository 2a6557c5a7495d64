//! What a notice says: which session, and what to type. No user, no token, nothing that an issuer said.

use sso_agent_core::session::About;

/// One that is longer is not read on a desktop.
const LONGEST: usize = 120;

/// What a desk shows: plain text, in one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(super) title: String,
    pub(super) body: String,
}

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    host: String,
    label: String,
}

impl Whose {
    pub(super) fn of(about: &About) -> Self {
        Self { host: about.host.id(), label: about.label.as_str().to_owned() }
    }

    /// Whether it may stand in a command that somebody copies, and on a desktop that takes markup.
    fn is_plain(&self) -> bool {
        let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || "._-+@:/?=%~[]".contains(c));
        plain(&self.host) && plain(&self.label) && self.host.chars().count() <= LONGEST
    }
}

impl Notice {
    /// For these sessions together; nothing if there are none.
    pub(super) fn sign_in_needed(whose: &[Whose]) -> Option<Self> {
        let body = match whose {
            [] => return None,
            [one] if !one.is_plain() => "A session is over: run `sso status`".to_owned(),
            [Whose { host, label }] if label.is_empty() => format!("{host} is over: run `sso login {host}`"),
            [Whose { host, label }] => {
                format!("{host} ({label}) is over: run `sso login {host} --as {label}`")
            }
            many => format!("{} sessions need a sign-in: run `sso status`", many.len()),
        };
        Some(Self { title: "Sign-in needed".to_owned(), body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(host: &str, label: &str) -> Whose {
        Whose { host: host.to_owned(), label: label.to_owned() }
    }

    fn body(whose: &[Whose]) -> String {
        Notice::sign_in_needed(whose).unwrap().body
    }

    #[test]
    fn it_says_which_session_and_what_to_type() {
        let (host, work) =
            (whose("adb-1.azuredatabricks.net", ""), whose("adb-1.azuredatabricks.net", "work"));
        assert_eq!(
            body(std::slice::from_ref(&host)),
            "adb-1.azuredatabricks.net is over: run `sso login adb-1.azuredatabricks.net`"
        );
        assert_eq!(
            body(std::slice::from_ref(&work)),
            "adb-1.azuredatabricks.net (work) is over: run `sso login adb-1.azuredatabricks.net --as work`"
        );
        assert_eq!(body(&[host, work]), "2 sessions need a sign-in: run `sso status`");
        assert_eq!(Notice::sign_in_needed(&[]), None);
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_not_shown() {
        let long = format!("{}.example", "a".repeat(LONGEST));
        for host in
            ["https://i.example/a;b", "a&b", "<b>a", "a`b", "a$(b)", "a\nb", "a\u{202e}b", "a b", &long]
        {
            assert_eq!(body(&[whose(host, "")]), "A session is over: run `sso status`", "{host}");
        }
        for host in ["https://[::1]:8443/a%20b", "http://localhost:8020", "https://i.example/~ada"] {
            assert!(body(&[whose(host, "")]).contains(host), "{host}");
        }
    }
}
