//! `metadata.url`: which session is meant, and its address.

use serde::Deserialize;
use sso_agent_proto::{
    fault::{Fault, Kind},
    metadata::{MetadataGet, MetadataUrl},
    method::Call,
    rpc::{Code, RpcError},
    session::{Session, State, Target},
    token::TokenGet,
};

use super::super::ask;
use crate::rpc::service::Service;

/// Whoever asks has a person who looks on.
const WAIT_S: u64 = 10;

/// Answers `metadata.url`.
///
/// It asks for a token first, as whoever gets the address will: that signs in what signs in by itself,
/// and says what is wrong while somebody looks. While no token can be had just now, a session that is
/// known is enough.
pub(crate) async fn answer(service: &Service, wish: MetadataGet) -> Result<MetadataUrl, RpcError> {
    let MetadataGet { target, scopes } = wish;
    let session = match session_of_token(service, &target, &scopes).await {
        Ok(id) => Target { session: Some(id), ..Target::default() },
        Err(error) if is_for_now(&error) => target,
        Err(error) => return Err(error),
    };
    let session: Session = service.show(&session).await?;
    if session.state == State::LoginRequired {
        let hint = "sign in again with `sso login`; addresses given out before will do";
        return Err(Fault::new(Kind::LoginRequired, format!("{} needs a sign-in", session.id), hint).into());
    }
    Ok(service.metadata.address(&session, scopes).await?)
}

async fn session_of_token(service: &Service, target: &Target, scopes: &[String]) -> Result<String, RpcError> {
    #[derive(Deserialize)]
    struct Token {
        session: String,
    }
    let Target { host, profile, session, label, account_id } = target.clone();
    let scopes = scopes.to_vec();
    let wish = TokenGet {
        host,
        profile,
        session,
        label,
        account_id,
        scopes,
        wait_s: Some(WAIT_S),
        ..TokenGet::default()
    };
    // Not counted: it goes nowhere.
    let reply = ask::ask(service, Call::TokenGet(wish)).await?;
    let token: Token = serde_json::from_slice(reply.json())
        .map_err(|_| RpcError::new(Code::Internal, "the token cannot be read"))?;
    Ok(token.session)
}

fn is_for_now(error: &RpcError) -> bool {
    error.data.as_ref().is_some_and(|data| matches!(data.kind, Kind::IssuerUnavailable | Kind::Timeout))
}
