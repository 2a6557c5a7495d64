//! The pages that a person sees: no script, light and dark, and nothing unescaped.

use std::fmt::Write as _;

/// What the sign-in page says.
pub(super) struct SignIn<'a> {
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    pub(super) client: &'a str,
    /// Where the browser goes afterwards.
    pub(super) back_to: &'a str,
    pub(super) scope: &'a str,
    /// Where the form goes.
    pub(super) action: &'a str,
    pub(super) ticket: &'a str,
}

const STYLE: &str = "
:root { color-scheme: light dark; --ground: #f4f5f7; --card: #fff; --text: #1c2330; --soft: #5b6472;
  --line: #dfe2e8; --accent: #1f5fd0; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1b2029; --text: #e8ebf0;
  --soft: #a0a9b8; --line: #313846; --accent: #7aa7ff; --on-accent: #0c1626; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 26rem; padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .75rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 .25rem; font-size: 1.375rem; line-height: 1.3; }
p { margin: .5rem 0; } .soft { color: var(--soft); font-size: .875rem; }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: .375rem; margin: .5rem 0 1.5rem; padding: 0; }
li { padding: .125rem .5rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .8125rem; }
button { width: 100%; margin-top: .5rem; padding: .7rem 1rem; border: 1px solid var(--line);
  border-radius: .5rem; background: none; color: inherit; font: inherit; cursor: pointer; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
";

/// Asks a person whether to sign in.
pub(super) fn sign_in(page: &SignIn<'_>) -> String {
    let scopes = page.scope.split_whitespace().fold(String::new(), |mut list, scope| {
        let _ = write!(list, "<li>{}</li>", escape(scope));
        list
    });
    let [user, host, client, back_to] = [page.user, page.host, page.client, page.back_to].map(escape);
    let [action, ticket] = [page.action, page.ticket].map(escape);
    document(
        "Sign in",
        &format!(
            r#"<p class="soft">Demo issuer at {host}</p>
<h1>Sign in to continue</h1>
<p><strong>{client}</strong> asks for access as <strong>{user}</strong>:</p>
<ul>{scopes}</ul>
<form method="post" action="{action}">
<input type="hidden" name="ticket" value="{ticket}">
<button class="main" id="sign-in" name="answer" value="sign-in" autofocus>Sign in as {user}</button>
<button id="cancel" name="answer" value="cancel">Cancel</button>
</form>
<p class="soft">You go back to {back_to}. This is a demonstration: no password, no account.</p>"#
        ),
    )
}

/// Says why the sign-in goes no further.
pub(super) fn problem(why: &str) -> String {
    document("Sign-in not possible", &format!("<h1>Sign-in not possible</h1>\n<p>{}</p>", escape(why)))
}

/// What a hotel says to every request until somebody has paid.
pub(super) fn portal() -> String {
    document("Guest network", "<h1>Welcome</h1>\n<p>Accept the terms to go online.</p>")
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
}

/// For text and for quoted attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_from_outside_becomes_markup() {
        let evil = "\"'><script>alert(1)</script>&";
        let page = sign_in(&SignIn {
            user: evil,
            host: evil,
            client: evil,
            back_to: evil,
            scope: evil,
            action: evil,
            ticket: evil,
        });
        assert!(!page.contains("<script") && !page.contains("\"'>"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(1)&lt;/script&gt;").count(), 8);
        assert!(!problem(evil).contains("<script"));
    }

    #[test]
    fn the_page_works_without_script_and_in_the_dark() {
        let page = problem("x");
        assert!(page.contains("prefers-color-scheme: dark") && !page.contains("<script"));
    }
}
