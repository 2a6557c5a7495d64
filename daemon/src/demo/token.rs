//! The token endpoint: codes and refresh tokens in, tokens out, and every way in which that goes wrong.

use std::future::pending;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::client_auth;
use super::faults::{Fault, Spot};
use super::form::Form;
use super::issuer::Shared;
use super::pages;
use super::refusal::Refusal;
use super::reply::{self, Answer, HungUp, Pieces};
use super::state::{Denied, Redemption, Renewal, Tokens};

/// What the client wants tokens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    Code,
    RefreshToken,
    Unsupported,
}

/// Answers a post, once what should go wrong has.
pub(super) async fn answer(shared: &Shared, headers: &HeaderMap, form: &Form) -> Answer {
    let _in_flight = shared.tally.enter();
    let grant = note(shared, headers, form);
    let fault = shared.fault(Spot::Token);
    tokio::time::sleep(shared.options.latency).await;
    if let Some(instead) = before(fault.as_ref()).await {
        return instead;
    }
    match decide(shared, headers, form, grant, fault.as_ref()) {
        Ok(tokens) => after(fault.as_ref(), tokens).await,
        Err(refusal) => Ok(refusal.answer(headers)),
    }
}

/// Counts the request, and keeps what is secret in it for those who look for leaks.
fn note(shared: &Shared, headers: &HeaderMap, form: &Form) -> Grant {
    let grant = match form.one("grant_type") {
        Ok(Some("authorization_code")) => Grant::Code,
        Ok(Some("refresh_token")) => Grant::RefreshToken,
        _ => Grant::Unsupported,
    };
    shared.tally.count(|counters| match grant {
        Grant::Code => counters.exchanges += 1,
        Grant::RefreshToken => counters.refreshes += 1,
        Grant::Unsupported => {}
    });
    let secret = client_auth::read(headers, form).ok().and_then(|client| client.secret);
    let verifier = form.one("code_verifier").ok().flatten().map(str::to_owned);
    let heard = secret.into_iter().chain(verifier).filter(|heard| !heard.is_empty());
    shared.desk().heard.extend(heard);
    grant
}

/// What the client gets although nothing was decided.
async fn before(fault: Option<&Fault>) -> Option<Answer> {
    let answer = match fault? {
        Fault::Status { code, retry_after, content_type, body } => {
            let mut response = reply::raw(status(*code), content_type, body.clone());
            if let Some(retry_after) = retry_after {
                reply::insert(&mut response, header::RETRY_AFTER, retry_after);
            }
            response
        }
        Fault::OAuthError { status: code, error, description } => {
            let mut body = json!({ "error": error });
            if let Some(description) = description {
                body["error_description"] = description.as_str().into();
            }
            reply::json(status(*code), &body)
        }
        Fault::HtmlOk => reply::html(StatusCode::OK, pages::portal()),
        Fault::Truncated => reply::raw(StatusCode::OK, "application/json", "{\"access_token\":\"eyJhbGciOi"),
        Fault::EmptyOk => reply::raw(StatusCode::OK, "application/json", ""),
        Fault::InvalidUtf8 => {
            let body = Bytes::from_static(b"{\"access_token\":\"\xff\xfe\x80\",\"token_type\":\"Bearer\"}");
            reply::raw(StatusCode::OK, "application/json", body)
        }
        Fault::HugeBody(length) => reply::json_in(
            StatusCode::OK,
            Pieces::huge("{\"token_type\":\"Bearer\",\"access_token\":\"", *length),
        ),
        Fault::GzipBomb(length) => {
            let mut response = reply::json_in(StatusCode::OK, Pieces::huge("", *length));
            reply::insert(&mut response, header::CONTENT_ENCODING, "gzip");
            response
        }
        Fault::Deep(levels) => reply::raw(StatusCode::OK, "application/json", "[".repeat(*levels)),
        Fault::Redirect(to) => reply::redirect(StatusCode::TEMPORARY_REDIRECT, to),
        Fault::Hang => pending().await,
        Fault::DropBeforeCommit => return Some(Err(HungUp)),
        Fault::Slow(by) => {
            tokio::time::sleep(*by).await;
            return None;
        }
        Fault::LoseAnswer
        | Fault::CutOff
        | Fault::SlowAnswer(_)
        | Fault::Drip(_)
        | Fault::ExpiresIn(_)
        | Fault::NoExpiresIn
        | Fault::NoRefreshToken
        | Fault::WrongTokenType
        | Fault::DuplicateKeys
        | Fault::LineBreakInToken
        | Fault::HtmlDiscovery
        | Fault::DiscoveryStatus(_)
        | Fault::WrongIssuer
        | Fault::WrongIss
        | Fault::NoIss => return None,
    };
    Some(Ok(answer))
}

/// Makes the grant, or says why not.
fn decide(
    shared: &Shared,
    headers: &HeaderMap,
    form: &Form,
    grant: Grant,
    fault: Option<&Fault>,
) -> Result<Tokens, Refusal> {
    let client = client_auth::admit(headers, form, &shared.options)?;
    let client_id = client.id.as_str();
    match grant {
        Grant::Code => {
            let code = form.one("code")?.ok_or_else(|| Refusal::missing("code"))?;
            let redirect_uri = form.one("redirect_uri")?;
            let verifier = form.one("code_verifier")?;
            redeem(shared, &Redemption { code, client_id, redirect_uri, verifier })
        }
        Grant::RefreshToken => {
            let refresh_token =
                form.one("refresh_token")?.ok_or_else(|| Refusal::missing("refresh_token"))?;
            let keep = fault == Some(&Fault::NoRefreshToken);
            refresh(shared, &Renewal { refresh_token, client_id, scope: form.one("scope")?, keep })
        }
        Grant::Unsupported => Err(Refusal::new("unsupported_grant_type", "The grant_type is not supported")),
    }
}

fn redeem(shared: &Shared, redemption: &Redemption<'_>) -> Result<Tokens, Refusal> {
    let tokens = shared.desk().state.redeem(redemption, shared.clock.now())?;
    shared.tally.count(|counters| counters.granted_exchanges += 1);
    tracing::debug!("demo issuer: code exchanged");
    Ok(tokens)
}

fn refresh(shared: &Shared, renewal: &Renewal<'_>) -> Result<Tokens, Refusal> {
    let outcome = shared.desk().state.refresh(renewal, shared.clock.now());
    shared.tally.count(|counters| match outcome {
        Ok(_) => counters.granted_refreshes += 1,
        Err(Denied::Replay) => counters.replays += 1,
        Err(Denied::Grant(_) | Denied::Scope) => {}
    });
    tracing::debug!(granted = outcome.is_ok(), "demo issuer: refresh token judged");
    Ok(outcome?)
}

/// What becomes of a grant on its way back.
async fn after(fault: Option<&Fault>, tokens: Tokens) -> Answer {
    let mut body = json!({
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.expires_in.as_secs(),
        "scope": tokens.scope,
    });
    let object = body.as_object_mut().expect("it was just made as one");
    object.extend(tokens.refresh_token.map(|token| ("refresh_token".into(), Value::from(token))));
    object.extend(tokens.id_token.map(|token| ("id_token".into(), Value::from(token))));
    match fault {
        Some(Fault::ExpiresIn(odd)) => drop(object.insert("expires_in".into(), odd.clone())),
        Some(Fault::NoExpiresIn) => drop(object.remove("expires_in")),
        Some(Fault::NoRefreshToken) => drop(object.remove("refresh_token")),
        Some(Fault::LineBreakInToken) => {
            let torn = format!("{}\r\nX-Evil: 1", tokens.access_token);
            drop(object.insert("access_token".into(), torn.into()));
        }
        Some(Fault::WrongTokenType) => drop(object.insert("token_type".into(), "mac".into())),
        _ => {}
    }
    let mut text = body.to_string();
    if fault == Some(&Fault::DuplicateKeys) {
        // The last of two counts with most parsers, and no parser may give the one before it for a token.
        text = text.replacen(
            '{',
            "{\"access_token\":\"stale\",\"refresh_token\":\"stale\",\"expires_in\":1,",
            1,
        );
        return Ok(reply::raw(StatusCode::OK, "application/json", text));
    }
    let whole = Bytes::from(text);
    match fault {
        Some(Fault::LoseAnswer) => Err(HungUp),
        Some(Fault::CutOff) => Ok(reply::json_in(StatusCode::OK, Pieces::broken(&whole))),
        Some(Fault::Drip(between)) => Ok(reply::json_in(StatusCode::OK, Pieces::dripping(&whole, *between))),
        Some(Fault::SlowAnswer(by)) => {
            tokio::time::sleep(*by).await;
            Ok(reply::json(StatusCode::OK, &body))
        }
        _ => Ok(reply::json(StatusCode::OK, &body)),
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
