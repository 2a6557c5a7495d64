//! Which proxy leads to an address, if any.

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use sso_agent_core::host::is_loopback;
use url::Url;

use super::settings::{ProxyUrl, Settings};

/// A proxy, and who we are to it.
#[derive(Clone)]
pub(super) struct Proxy {
    /// Without user and password: this is shown.
    pub(super) uri: Uri,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// By `CONNECT` (RFC 9110, 9.3.6), with this for `Proxy-Authorization`.
    Http(Option<HeaderValue>),
    /// By SOCKS 5 (RFC 1928), with user and password. The name is looked up there.
    Socks(Option<(String, String)>),
}

/// The proxy for `to`; says why one that is set cannot be used, since going past it is nobody's wish.
pub(super) fn proxy(settings: &Settings, to: &Uri) -> Result<Option<Proxy>, String> {
    let Some(ProxyUrl(text)) = &settings.proxy else { return Ok(None) };
    if Url::parse(&to.to_string()).is_ok_and(|url| is_loopback(&url)) {
        return Ok(None);
    }
    let text = text.trim();
    check(text)?;
    let matcher = Matcher::builder().all(text).no(exceptions(&settings.no_proxy, to)).build();
    Ok(matcher.intercept(to).map(|found| {
        let kind = match found.uri().scheme_str() {
            Some("http" | "https") => Kind::Http(found.basic_auth().cloned()),
            _ => Kind::Socks(found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()))),
        };
        Proxy { uri: found.uri().clone(), kind }
    }))
}

/// Says what is wrong with the address of a proxy, without repeating it.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let bad = |why: &str| Err(format!("the address of the proxy cannot be used: {why}"));
    let Ok(uri) = text.trim().parse::<Uri>() else { return bad("it is no address") };
    match uri.scheme_str() {
        None | Some("http" | "https" | "socks5" | "socks5h") => {}
        Some(_) => return bad("it must begin with http://, https:// or socks5://"),
    }
    if uri.host().is_none_or(str::is_empty) { bad("it names no host") } else { Ok(()) }
}

/// The exceptions that count for `to`, in words that the matcher knows: it has no ports and no `*.`.
fn exceptions(words: &[String], to: &Uri) -> String {
    let port = to.port_u16().unwrap_or(443);
    let counts = words.iter().filter_map(|word| {
        let (name, at) = split(word.trim());
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        at.is_none_or(|at| at == port).then(|| name.trim_end_matches('.'))
    });
    counts.collect::<Vec<_>>().join(",")
}

/// A name or address, and the port behind it, if there is one.
fn split(word: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match word.rsplit_once(':') {
        // An address of version 6 has more than one colon, and no port without brackets.
        Some((name, port)) if !name.contains(':') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (word, None),
        },
        Some(_) | None => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(proxy_url: &str, no_proxy: &[&str], to: &str) -> Option<String> {
        let settings = Settings {
            proxy: Some(ProxyUrl(proxy_url.to_owned())),
            no_proxy: no_proxy.iter().map(|word| (*word).to_owned()).collect(),
            ca: vec![],
        };
        proxy(&settings, &to.parse().unwrap()).unwrap().map(|proxy| proxy.uri.to_string())
    }

    #[test]
    fn a_proxy_leads_everywhere_but_where_it_must_not() {
        let with = |no_proxy: &[&str], to: &str| by("http://p:3128", no_proxy, to).is_some();
        assert!(with(&[], "https://a.example/t"));
        for loopback in ["https://localhost/t", "https://127.0.0.1:8443/t", "https://[::1]/t"] {
            assert!(!with(&[], loopback), "{loopback}");
        }
        for (word, yes, no) in [
            ("a.example", "https://x.a.example", "https://xa.example"),
            (".a.example", "https://x.a.example", "https://b.example"),
            ("*.a.example", "https://x.a.example", "https://b.example"),
            ("A.Example", "https://a.example", "https://b.example"),
            ("a.example:8443", "https://a.example:8443", "https://a.example"),
            ("a.example:443", "https://a.example", "https://a.example:8443"),
            ("10.0.0.0/8", "https://10.1.2.3", "https://11.1.2.3"),
            ("192.0.2.7", "https://192.0.2.7", "https://192.0.2.8"),
            ("192.0.2.7:8443", "https://192.0.2.7:8443", "https://192.0.2.7"),
            ("2001:db8::/32", "https://[2001:db8::1]", "https://[2001:db9::1]"),
            ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443", "https://[2001:db8::1]"),
        ] {
            assert!(!with(&[word], yes), "{word}: {yes}");
            assert!(with(&[word], no), "{word}: {no}");
        }
        assert!(!with(&["", "*"], "https://a.example"));
    }

    #[test]
    fn the_forms_of_an_address_and_its_password() {
        assert_eq!(by("p.example:3128", &[], "https://a.example").as_deref(), Some("http://p.example:3128/"));
        let settings =
            Settings { proxy: Some(ProxyUrl("http://me:s%40cret@p:1".into())), ..Settings::default() };
        let found = proxy(&settings, &"https://a.example".parse().unwrap()).unwrap().unwrap();
        assert_eq!(found.uri.to_string(), "http://p:1/");
        let Kind::Http(Some(auth)) = found.kind else { panic!() };
        assert_eq!(auth, "Basic bWU6c0BjcmV0");
        let settings =
            Settings { proxy: Some(ProxyUrl("socks5h://me:pw@p:1080".into())), ..Settings::default() };
        let found = proxy(&settings, &"https://a.example".parse().unwrap()).unwrap().unwrap();
        assert!(matches!(found.kind, Kind::Socks(Some((user, pass))) if user == "me" && pass == "pw"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_gone_past() {
        for bad in ["ftp://p:1", "socks4://p:1", "http://", "no address at all", "/p", "http://me:CANARY@"] {
            let settings = Settings { proxy: Some(ProxyUrl(bad.into())), ..Settings::default() };
            let why = proxy(&settings, &"https://a.example".parse().unwrap()).err().unwrap();
            assert!(
                why.starts_with("the address of the proxy cannot be used: ") && !why.contains("CANARY"),
                "{why}"
            );
        }
    }
}
