//! Which addresses a client may open in a browser.
//!
//! They come from the agent, which is believed in much but not in this: what a browser's opener is given
//! must not be a command, a file or a script, whatever an issuer told the agent.

/// Whether this is the address of a page: `https`, or `http` on this machine, and nothing in it that could
/// end an argument or be taken for an option.
///
/// Whoever starts a program with it should still give it as one argument, and use no shell.
pub fn is_for_a_browser(address: &str) -> bool {
    let plain =
        address.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '<' | '>' | '\\'));
    plain
        && match address.split_once("://") {
            Some(("https", rest)) => is_host(authority(rest)),
            Some(("http", rest)) => is_loopback(authority(rest)),
            Some(_) | None => false,
        }
}

fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// A name or an address, and a port perhaps; no user.
fn is_host(authority: &str) -> bool {
    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    authority.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') && authority.chars().all(named)
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            if port.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
                return false;
            }
            host
        }
        Some(_) | None => authority,
    };
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_are_for_a_browser() {
        for address in [
            "https://issuer.example/authorize?client_id=a&state=%22",
            "https://issuer.example:8443/",
            "http://localhost:8020/start/abc",
            "http://127.0.0.1:8020/start/abc",
            "http://[::1]:8020/start/abc",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(is_for_a_browser(address), "{address}");
        }
        for address in [
            "",
            "-flag",
            "--new-window",
            "issuer.example",
            "javascript:alert(1)",
            "javascript://localhost/%0aalert(1)",
            "file:///etc/passwd",
            "FILE://localhost/etc/passwd",
            "data:text/html,x",
            "smb://host/share",
            "http://issuer.example/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://127.0.0.1:8020@evil.example/",
            "http://[::1].evil.example/",
            "https://user@issuer.example/",
            "https://-flag/",
            "https:///x",
            "https://x/\n--flag",
            "https://x/ --flag",
            "https://x/'$(id)'",
            "https://x/\"",
            "https://x/`id`",
            "https://x/\\",
            "https://x/\u{202e}",
            " https://x/",
        ] {
            assert!(!is_for_a_browser(address), "{address}");
        }
    }
}
