//! The few words that a person sees in the browser: no script, light and dark, nothing from outside
//! that is not escaped.

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// The sign-in worked.
    SignedIn {
        /// Where.
        host: String,
        /// Who, if the issuer said.
        user: Option<String>,
    },
    /// It did not.
    Failed {
        /// Where.
        host: String,
        /// Why, in words.
        why: String,
    },
    /// This address was used before.
    Used,
    /// There is nothing here.
    NotFound,
}

/// The only style that a page may have: named by its hash in [`policy`].
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;min-height:100vh;display:grid;place-items:center;\
font:17px/1.5 system-ui,sans-serif;background:#f6f7f9;color:#1c2024}\
main{max-width:26rem;margin:1.5rem;padding:2.5rem;border-radius:14px;background:#fff;\
box-shadow:0 1px 3px #0002,0 8px 30px #0001}\
.mark{width:3rem;height:3rem;border-radius:50%;display:grid;place-items:center;\
font-size:1.5rem;color:#fff;background:#1a7f4b}\
.failed .mark{background:#b3372f}.quiet .mark{background:#6b7280}\
h1{font-size:1.35rem;margin:1.2rem 0 .6rem}\
p{margin:.4rem 0;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem;margin:1rem 0}\
dt{opacity:.65}dd{margin:0;overflow-wrap:anywhere;font-weight:600}\
.note{opacity:.65;font-size:.95rem;margin-top:1.2rem}\
@media (prefers-color-scheme:dark){body{background:#15181c;color:#e8eaed}main{background:#1f2429;box-shadow:none}}";

impl Page {
    /// The HTTP status that goes with it.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::SignedIn { .. } => 200,
            Self::Failed { .. } => 400,
            Self::Used => 410,
            Self::NotFound => 404,
        }
    }

    /// The whole document.
    pub(crate) fn html(&self) -> String {
        let (class, mark, title) = match self {
            Self::SignedIn { .. } => ("done", "&#10003;", "You are signed in"),
            Self::Failed { .. } => ("failed", "!", "The sign-in did not work"),
            Self::Used => ("quiet", "i", "This address was used before"),
            Self::NotFound => ("quiet", "i", "There is nothing here"),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title} - sso-agent</title><style>{STYLE}</style></head>\n\
             <body><main class=\"{class}\"><div class=\"mark\" aria-hidden=\"true\">{mark}</div>\
             <h1>{title}</h1>{}</main></body></html>\n",
            self.body()
        )
    }

    fn body(&self) -> String {
        let close = "<p class=\"note\">You can close this tab.</p>";
        match self {
            Self::SignedIn { host, user } => {
                let account =
                    user.as_deref().map(|user| format!("<dt>Account</dt><dd>{}</dd>", escape(user)));
                let account = account.unwrap_or_default();
                format!("<dl><dt>Host</dt><dd>{}</dd>{account}</dl>{close}", escape(host))
            }
            Self::Failed { host, why } => format!(
                "<p>{}</p><dl><dt>Host</dt><dd>{}</dd></dl><p>Nothing was changed. To try again, run <code>sso login</code>.</p>{close}",
                escape(why),
                escape(host)
            ),
            Self::Used => {
                "<p>It leads to a sign-in once. To begin a new one, run <code>sso login</code>.</p>"
                    .to_owned()
            }
            Self::NotFound => {
                "<p>A sign-in waits at this address, and this request is no part of it.</p>".to_owned()
            }
        }
    }
}

/// What the browser may do with a page: show it.
pub(crate) fn policy() -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_where_and_who_and_that_the_tab_can_be_closed() {
        let page =
            Page::SignedIn { host: "https://a.example".into(), user: Some("ann@example.com".into()) }.html();
        for part in ["https://a.example", "ann@example.com", "close this tab", "color-scheme:light dark"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script"));
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let nasty = "<img src=x onerror=\"alert(1)\">'&\u{7}".to_owned();
        for page in [
            Page::SignedIn { host: nasty.clone(), user: Some(nasty.clone()) },
            Page::Failed { host: nasty.clone(), why: nasty.clone() },
        ] {
            let html = page.html();
            assert!(!html.contains("<img") && !html.contains("onerror=\""), "{html}");
        }
    }
}
