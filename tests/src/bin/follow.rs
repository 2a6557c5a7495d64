//! A BROWSER command without a browser: follows redirects, keeps cookies, sends every form it meets as it
//! stands, and ends at the first page that asks for nothing. For tests that are not about browsers.
//! `SSO_TEST_USER` says who signs in; otherwise it is whom the page suggests.
//!
//! Cookies go back to the origin that set them, whatever their path: these servers need no more.

use sso_agent_tests::http::{self, Answer};
use std::collections::BTreeMap;
use std::process::ExitCode;
use url::Url;

const MOST_STEPS: usize = 20;

fn main() -> ExitCode {
    let Some(start) = std::env::args().nth(1) else { return ExitCode::from(2) };
    match Url::parse(&start).map_err(std::io::Error::other).and_then(follow) {
        Ok(answer) if answer.status == 200 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn follow(mut at: Url) -> std::io::Result<Answer> {
    let user = std::env::var("SSO_TEST_USER").ok();
    let mut cookies: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut form = None;
    for _ in 0..MOST_STEPS {
        let origin = at.origin().ascii_serialization();
        let jar: Vec<String> = cookies
            .iter()
            .filter(|((from, _), _)| *from == origin)
            .map(|((_, name), value)| format!("{name}={value}"))
            .collect();
        let jar = jar.join("; ");
        let mut headers = vec![("Accept", "text/html")];
        if !jar.is_empty() {
            headers.push(("Cookie", &jar));
        }
        if form.is_some() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let answer = http::send(&at, &headers, form.take().as_deref())?;
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            if let Some((name, value)) = cookie.split(';').next().unwrap_or_default().split_once('=') {
                cookies.insert((origin.clone(), name.to_owned()), value.to_owned());
            }
        }
        if let Some(next) = answer.header("location") {
            at = at.join(next).map_err(std::io::Error::other)?;
        } else if let Some((action, fields)) = form_of(&answer.body, user.as_deref()) {
            at = at.join(&action).map_err(std::io::Error::other)?;
            form = Some(fields);
        } else {
            return Ok(answer);
        }
    }
    Err(std::io::Error::other("too many steps"))
}

/// Where the first form goes, and what it sends.
fn form_of(page: &str, user: Option<&str>) -> Option<(String, String)> {
    let (_, rest) = page.split_once("<form")?;
    let (form, _) = rest.split_once("</form>")?;
    let action = attribute(form.split('>').next()?, "action").unwrap_or_default();
    let mut fields = url::form_urlencoded::Serializer::new(String::new());
    let inputs = form.split('<').filter(|tag| tag.starts_with("input") || tag.starts_with("button"));
    for tag in inputs {
        if let Some(name) = attribute(tag, "name") {
            let value =
                user.filter(|_| name == "user").map(str::to_owned).or_else(|| attribute(tag, "value"));
            fields.append_pair(&name, &value.unwrap_or_default());
        }
    }
    Some((action, fields.finish()))
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(value.replace("&amp;", "&").replace("&quot;", "\"").replace("&#39;", "'"))
}
