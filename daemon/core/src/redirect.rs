//! Where a browser may be sent back to after a sign-in (RFC 6749, 3.1.2; RFC 9700, 2.1).

use url::Url;

use crate::host::is_loopback;

/// Longer ones are no address that anybody registered.
const LONGEST: usize = 2048;

/// An address that a browser may be sent back to: https, or http on this machine.
///
/// It is kept as it was written, since servers compare it letter by letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUrl {
    text: String,
    url: Url,
}

/// Why an address will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRedirect {
    /// It cannot be read as one, or has blanks or control characters in it.
    #[error("it is not a URL such as https://app.example.com/callback")]
    NotAUrl,
    /// The code would be sent in the clear.
    #[error("only https is safe, or http on localhost, 127.0.0.1 and [::1]")]
    NotSecure,
    /// It would fit addresses of others.
    #[error("a redirect URL is one address: no * in it")]
    Wildcard,
    /// Browsers keep that part to themselves (RFC 6749, 3.1.2).
    #[error("a redirect URL has no fragment, which is the part behind #")]
    Fragment,
    /// It would be shown to everybody.
    #[error("a redirect URL has no user name or password in it")]
    Credentials,
}

impl RedirectUrl {
    /// Reads and checks an address.
    ///
    /// # Errors
    /// See [`BadRedirect`].
    pub fn parse(text: &str) -> Result<Self, BadRedirect> {
        if text.len() > LONGEST || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(BadRedirect::NotAUrl);
        }
        if text.contains('*') {
            return Err(BadRedirect::Wildcard);
        }
        let url = Url::parse(text).map_err(|_| BadRedirect::NotAUrl)?;
        let (scheme, behind) = text.split_once("://").ok_or(BadRedirect::NotAUrl)?;
        if behind.starts_with('/') || !url.has_host() {
            return Err(BadRedirect::NotAUrl);
        }
        if !url.username().is_empty() || url.password().is_some() || url_has_userinfo(behind) {
            return Err(BadRedirect::Credentials);
        }
        if url.fragment().is_some() {
            return Err(BadRedirect::Fragment);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            _ => return Err(BadRedirect::NotSecure),
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads an address that a browser came back to, whole or from its path on; `None` unless it is this
    /// one with a query.
    pub fn came_back(&self, callback: &str) -> Option<Url> {
        let callback = self.url.join(callback).ok()?;
        let own_query = || self.url.query_pairs().all(|own| callback.query_pairs().any(|pair| pair == own));
        let same =
            callback.origin() == self.url.origin() && callback.path() == self.url.path() && own_query();
        same.then_some(callback)
    }
}

/// An empty name is one, too.
fn url_has_userinfo(behind_scheme: &str) -> bool {
    behind_scheme.split(['/', '?']).next().is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_safe_is_kept_as_it_was_written() {
        for good in [
            "https://host.domain/path/to/callback",
            "HTTPS://App.Example:8443/cb?tenant=a",
            "http://localhost:8020",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
        ] {
            assert_eq!(RedirectUrl::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn what_is_not_safe_is_told_why() {
        let why = |text: &str| RedirectUrl::parse(text).unwrap_err();
        for text in [
            "",
            "app.example/cb",
            "/cb",
            "https://",
            "https:///cb",
            "https:app.example",
            "https://a b/",
            "https:\\\\a\\b",
            "https://a/\ncb",
            "mailto:a@b",
        ] {
            assert_eq!(why(text), BadRedirect::NotAUrl, "{text:?}");
        }
        for text in [
            "http://app.example/cb",
            "http://10.0.0.1/",
            "myapp://cb",
            "javascript://a/%0aalert(1)",
            "http://localhost.example/",
        ] {
            assert_eq!(why(text), BadRedirect::NotSecure, "{text:?}");
        }
        assert_eq!(why("https://*.example/cb"), BadRedirect::Wildcard);
        assert_eq!(why("https://a.example/*"), BadRedirect::Wildcard);
        assert_eq!(why("https://a.example/cb#x"), BadRedirect::Fragment);
        assert_eq!(why("https://a.example/cb#"), BadRedirect::Fragment);
        for text in [
            "https://u@a.example/",
            "https://u:p@a.example/",
            "https://@a.example/",
            "https://:@a.example/cb",
        ] {
            assert_eq!(why(text), BadRedirect::Credentials, "{text:?}");
        }
        assert_eq!(why(&format!("https://a.example/{}", "x".repeat(3000))), BadRedirect::NotAUrl);
    }

    #[test]
    fn a_browser_comes_back_to_this_address_only() {
        let redirect = RedirectUrl::parse("https://app.example/cb").unwrap();
        for good in ["https://app.example/cb?code=c", "https://APP.example:443/cb?code=c", "/cb?code=c"] {
            assert_eq!(
                redirect.came_back(good).and_then(|url| url.query().map(str::to_owned)).as_deref(),
                Some("code=c"),
                "{good}"
            );
        }
        let tenant = RedirectUrl::parse("https://app.example/cb?tenant=a").unwrap();
        assert!(tenant.came_back("/cb?tenant=a&code=c").is_some());
        assert!(tenant.came_back("/cb?tenant=b&code=c").is_none());
        for bad in [
            "https://other.example/cb?code=c",
            "http://app.example/cb",
            "https://app.example:8443/cb",
            "/other?code=c",
            "//evil.example/cb",
            "",
        ] {
            assert!(redirect.came_back(bad).is_none() || bad.is_empty(), "{bad}");
        }
    }
}
