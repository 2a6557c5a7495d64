//! Who the client at the token endpoint is, and whether it is (RFC 6749, 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use secrecy::ExposeSecret as _;

use super::form::Form;
use super::options::Options;
use super::refusal::Refusal;

/// What the client said about itself.
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<String>,
}

/// Who the client is, if it is who it says it is.
pub(super) fn admit(headers: &HeaderMap, form: &Form, options: &Options) -> Result<Client, Refusal> {
    let client = read(headers, form)?;
    check(&client, options)?;
    Ok(client)
}

/// Reads who the client says it is, from the header or from the body, not from both.
pub(super) fn read(headers: &HeaderMap, form: &Form) -> Result<Client, Refusal> {
    let id = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let Some(basic) = basic(headers) else {
        let id = id.ok_or(Refusal::of_client("The client does not say who it is"))?;
        return Ok(Client { id: id.to_owned(), secret: secret.map(str::to_owned) });
    };
    let client = basic.ok_or(Refusal::of_client("The Authorization header cannot be read"))?;
    if secret.is_some() {
        return Err(Refusal::new("invalid_request", "The client authenticates in two ways at once"));
    }
    if id.is_some_and(|id| id != client.id) {
        return Err(Refusal::new("invalid_request", "The client names itself in two ways"));
    }
    Ok(client)
}

/// Checks it against what this issuer knows.
fn check(client: &Client, options: &Options) -> Result<(), Refusal> {
    if options.client_id.as_ref().is_some_and(|known| *known != client.id) {
        return Err(Refusal::of_client("The client is not known"));
    }
    match (&options.client_secret, &client.secret) {
        (Some(known), Some(said)) if known.expose_secret() == said => Ok(()),
        (Some(_), _) => Err(Refusal::of_client("The client secret is wrong or missing")),
        // A public client has nothing to prove; one that sends an empty or a made-up secret is confused.
        (None, Some(said)) if !said.is_empty() => Err(Refusal::of_client("The client has no secret")),
        (None, _) => Ok(()),
    }
}

/// The header, if there is one; and what it says, if it can be read. Both halves are form-encoded.
fn basic(headers: &HeaderMap) -> Option<Option<Client>> {
    let header = headers.get(header::AUTHORIZATION)?;
    let client = || {
        let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        Some(Client { id: decoded(id), secret: Some(decoded(secret)) })
    };
    Some(client())
}

/// As form values are, though a client that did not encode its secret is understood as well.
fn decoded(text: &str) -> String {
    let one_word = text.replace('&', "%26").replace('=', "%3D");
    let mut words = url::form_urlencoded::parse(one_word.as_bytes());
    words.next().map_or_else(String::new, |(word, _)| word.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn asked(basic: Option<&str>, body: &str) -> Result<Client, Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(pair) = basic {
            let value = format!("Basic {}", STANDARD.encode(pair));
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        }
        read(&headers, &Form::parse(body.as_bytes()))
    }

    #[test]
    fn a_client_may_prove_itself_in_the_body_or_by_basic_but_not_by_both() {
        let body = asked(None, "client_id=me&client_secret=s%20x").ok().unwrap();
        let basic = asked(Some("me:s%20x"), "client_id=me").ok().unwrap();
        assert_eq!((body.id, body.secret), (basic.id, basic.secret));
        let error = |basic, body| asked(basic, body).err().map(|refusal| refusal.error);
        assert_eq!(error(Some("me:s"), "client_secret=s"), Some("invalid_request"));
        assert_eq!(error(Some("me:s"), "client_id=you"), Some("invalid_request"));
        assert_eq!(error(None, ""), Some("invalid_client"));
    }

    #[test]
    fn the_secret_must_be_the_right_one() {
        let options = Options { client_secret: Some("right".into()), ..Options::default() };
        let with = |secret: Option<&str>| {
            check(&Client { id: "me".into(), secret: secret.map(str::to_owned) }, &options)
        };
        assert_eq!(with(Some("right")), Ok(()));
        assert_eq!(with(Some("wrong")).unwrap_err().error, "invalid_client");
        assert_eq!(with(None).unwrap_err().error, "invalid_client");
    }
}
