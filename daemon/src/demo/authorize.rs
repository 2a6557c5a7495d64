//! The authorization endpoint: from the browser's arrival to the redirect that takes it back.
//!
//! Nothing is redirected before it is known that the address is one of a client on this machine, or
//! at least https: an issuer that redirects anywhere is of use to a phisher (RFC 9700, 4.11).

use std::collections::VecDeque;

use http::{Response, StatusCode};
use url::{Host, Url};

use super::faults::{Fault, Spot};
use super::form::Form;
use super::issuer::Shared;
use super::mint;
use super::options::Consent;
use super::pages::{self, SignIn};
use super::reply::{self, Pieces};
use super::state::Authorized;

/// A person who does not decide makes room for others.
const MOST_TICKETS: usize = 256;

/// What a client without a scope gets, as a workspace's own clients do.
const USUAL_SCOPE: &str = "all-apis offline_access";

const DECLINED: Objection = Objection { error: "access_denied", why: "The person declined" };

/// Sign-ins that wait for a person, oldest first, by the name that only the page knows.
#[derive(Debug, Default)]
pub(super) struct Tickets(VecDeque<(String, Asked)>);

/// A request that has been checked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    back: Back,
    scope: String,
    challenge: String,
}

/// The way back to the client.
#[derive(Debug, Clone)]
struct Back {
    client_id: String,
    /// To the letter, as the token endpoint will compare it.
    redirect_uri: String,
    to: Url,
    state: Option<String>,
}

impl Back {
    /// Finds the way back; or what to tell the person, since nobody else can be told.
    fn read(query: &Form, known_client: Option<&str>) -> Result<Self, &'static str> {
        let client_id = query.one("client_id").ok().flatten().ok_or("There is not one client_id.")?;
        if known_client.is_some_and(|known| known != client_id) {
            return Err("This client is not known here.");
        }
        let redirect_uri =
            query.one("redirect_uri").ok().flatten().ok_or("There is not one redirect_uri.")?;
        let to =
            acceptable(redirect_uri).ok_or("The redirect_uri is neither https nor http on this machine.")?;
        let state = query.one("state").map_err(|_| "The state is repeated.")?;
        Ok(Self {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            to,
            state: state.map(str::to_owned),
        })
    }
}

/// Why the client gets no code (RFC 6749, 4.1.2.1).
#[derive(Debug)]
struct Objection {
    error: &'static str,
    why: &'static str,
}

impl Tickets {
    fn keep(&mut self, asked: Asked) -> String {
        let ticket = mint::ticket();
        if self.0.len() >= MOST_TICKETS {
            self.0.pop_front();
        }
        self.0.push_back((ticket.clone(), asked));
        ticket
    }

    fn take(&mut self, ticket: &str) -> Option<Asked> {
        let at = self.0.iter().position(|(known, _)| known == ticket)?;
        self.0.remove(at).map(|(_, asked)| asked)
    }
}

/// The browser arrives.
pub(super) fn arrive(shared: &Shared, query: &Form) -> Response<Pieces> {
    let back = match Back::read(query, shared.options.client_id.as_deref()) {
        Ok(back) => back,
        Err(why) => return problem(why),
    };
    let asked = match check(query, &back) {
        Ok(asked) => asked,
        Err(objection) => return refuse(shared, back, &objection, StatusCode::FOUND),
    };
    shared.tally.count(|counters| counters.authorizations += 1);
    match shared.options.consent {
        Consent::Auto => agree(shared, asked, StatusCode::FOUND),
        Consent::Deny => refuse(shared, asked.back, &DECLINED, StatusCode::FOUND),
        Consent::Page => {
            let ticket = shared.desk().tickets.keep(asked.clone());
            let page = pages::sign_in(&SignIn {
                user: &shared.options.user,
                host: shared.url.trim_start_matches("http://"),
                client: &asked.back.client_id,
                back_to: &asked.back.to.origin().ascii_serialization(),
                scope: &asked.scope,
                action: shared.routes.authorize,
                ticket: &ticket,
            });
            reply::html(StatusCode::OK, page)
        }
    }
}

/// The person pressed a button.
pub(super) fn decide(shared: &Shared, form: &Form) -> Response<Pieces> {
    let (Ok(Some(ticket)), Ok(Some(answer))) = (form.one("ticket"), form.one("answer")) else {
        return problem("The form is not complete.");
    };
    let Some(asked) = shared.desk().tickets.take(ticket) else {
        return problem("This page was used before, or is too old. Start the sign-in again.");
    };
    if answer == "sign-in" {
        agree(shared, asked, StatusCode::SEE_OTHER)
    } else {
        refuse(shared, asked.back, &DECLINED, StatusCode::SEE_OTHER)
    }
}

fn agree(shared: &Shared, asked: Asked, status: StatusCode) -> Response<Pieces> {
    let authorized = Authorized {
        client_id: &asked.back.client_id,
        redirect_uri: &asked.back.redirect_uri,
        challenge: &asked.challenge,
        scope: &asked.scope,
    };
    let code = shared.desk().state.authorize(&authorized, shared.clock.now());
    shared.tally.count(|counters| counters.sign_ins += 1);
    tracing::debug!("demo issuer: person signed in");
    send_back(shared, asked.back, &[("code", &code)], status)
}

fn refuse(shared: &Shared, back: Back, objection: &Objection, status: StatusCode) -> Response<Pieces> {
    send_back(shared, back, &[("error", objection.error), ("error_description", objection.why)], status)
}

fn send_back(shared: &Shared, back: Back, params: &[(&str, &str)], status: StatusCode) -> Response<Pieces> {
    let Back { mut to, state, .. } = back;
    let iss = match shared.fault(Spot::Authorization) {
        Some(Fault::WrongIss) => Some("https://issuer.invalid/oidc".to_owned()),
        Some(Fault::NoIss) => None,
        _ => shared.options.iss_parameter.then(|| shared.issuer()),
    };
    to.query_pairs_mut()
        .extend_pairs(params)
        .extend_pairs(state.map(|state| ("state", state)))
        .extend_pairs(iss.map(|iss| ("iss", iss)));
    reply::redirect(status, to.as_str())
}

fn problem(why: &str) -> Response<Pieces> {
    reply::html(StatusCode::BAD_REQUEST, pages::problem(why))
}

/// Checks what the client wants, now that it can be told what is wrong.
fn check(query: &Form, back: &Back) -> Result<Asked, Objection> {
    let malformed = |why| Objection { error: "invalid_request", why };
    let one = |name| query.one(name).map_err(|_| malformed("A parameter is repeated"));
    match one("response_type")? {
        Some("code") => {}
        Some(_) => {
            let why = "Only response_type=code is supported";
            return Err(Objection { error: "unsupported_response_type", why });
        }
        None => return Err(malformed("There is no response_type")),
    }
    if back.state.is_none() {
        return Err(malformed("There is no state"));
    }
    if one("code_challenge_method")? != Some("S256") {
        return Err(malformed("The code_challenge_method must be S256"));
    }
    let challenge = one("code_challenge")?
        .filter(|challenge| is_digest(challenge))
        .ok_or_else(|| malformed("The code_challenge is no SHA-256 in base64url"))?;
    let scope = one("scope")?.unwrap_or(USUAL_SCOPE).split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Asked { challenge: challenge.to_owned(), scope, back: back.clone() })
}

/// An address of a client: https, or http on this machine (RFC 8252, 7.3), without surprises.
fn acceptable(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let plain = url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (plain && (url.scheme() == "https" || (url.scheme() == "http" && local))).then_some(url)
}

/// 256 bits in base64url, which are 43 letters.
fn is_digest(challenge: &str) -> bool {
    challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "response_type=code&client_id=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A8020&state=s\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn asked(query: &str) -> Result<Asked, &'static str> {
        let query = Form::parse(query.as_bytes());
        check(&query, &Back::read(&query, None)?).map_err(|objection| objection.error)
    }

    fn objection(query: &str) -> Option<&'static str> {
        asked(query).err()
    }

    #[test]
    fn a_request_must_be_a_code_with_pkce_from_a_client_with_a_state() {
        assert_eq!(objection(GOOD), None);
        let changed = |from, to| objection(&GOOD.replace(from, to)).unwrap();
        assert_eq!(changed("=code&", "=token&"), "unsupported_response_type");
        assert_eq!(changed("S256", "plain"), "invalid_request");
        assert_eq!(changed("E9Mel", ""), "invalid_request");
        assert_eq!(changed("&state=s", ""), "invalid_request");
        assert_eq!(changed("&state=s", "&state=s&scope=a&scope=b"), "invalid_request");
        assert!(changed("client_id=c", "").contains("client_id"));
    }

    #[test]
    fn a_redirect_leads_to_this_machine_or_to_https_only() {
        for good in [
            "http://localhost:8020",
            "http://127.0.0.1:1/cb?x=1",
            "http://[::1]:1/",
            "https://app.example/cb",
        ] {
            assert!(acceptable(good).is_some(), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "http://127.0.0.1.evil.example/",
            "http://u:p@localhost/",
            "http://localhost/#f",
            "javascript:alert(1)",
            "custom:/cb",
            "/cb",
        ] {
            assert!(acceptable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_ticket_is_good_once_and_old_ones_make_room() {
        let asked = asked(GOOD).unwrap();
        let mut tickets = Tickets::default();
        let first = tickets.keep(asked.clone());
        let second = tickets.keep(asked.clone());
        assert!(tickets.take(&second).is_some() && tickets.take(&second).is_none());
        for _ in 0..MOST_TICKETS {
            tickets.keep(asked.clone());
        }
        assert!(tickets.take(&first).is_none());
    }
}
