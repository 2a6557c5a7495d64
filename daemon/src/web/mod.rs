//! Web apps on this machine that sign their own users in.
//!
//! An app gets an address for its user's browser, and a sealed text to keep until the browser is back; for
//! both it gets a handle, which is good for the tokens of that one session. The refresh token and the
//! client's secret stay here. What the app is about to do is kept by nobody: an agent that is asked for a
//! million sign-ins that are never finished is no larger than before.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod handles;
mod pending;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use sso_agent_core::{
    agent::{Event, SignedIn, Target},
    consent::{CameBack, LIFETIME, NotConsented, Used},
    login::Plan,
    redirect::RedirectUrl,
    refusal::Refusal,
    session::Session,
    time::Now,
    words::{Renewable, SessionId},
};
use sso_agent_proto::{
    consent::{ConsentEnd, ConsentFinish, ConsentFinished, ConsentStart, ConsentStarted},
    fault::{Fault, Kind},
    rpc::RpcError,
    session::{self as wire, LoggedOut, Login},
};
use tokio::sync::oneshot;

pub(crate) use self::handles::{FILE, Handles, is_sound};
use self::{handles::issue, pending::Pending};
use crate::{
    clock,
    handle::{Handle, Message},
    issuer::{self, Authorization, Manner},
    random,
    rpc::{service::Service, translate},
    signin::{self, Banked, Chosen},
    spender::{By, Spender},
    store::{Record, Renewal, Store, WebUser},
};

/// What an app does whose callback is of no use.
const START_OVER: &str = "send the user to sign in again: consent.start";

/// See the module.
pub(crate) struct Web {
    pub(crate) handles: Arc<Handles>,
    store: Arc<dyn Store>,
    spender: Arc<Spender>,
    used: Mutex<Used>,
}

impl Web {
    /// Sign-ins that are sealed by this store, and sessions that this spender renews.
    pub(crate) fn new(handles: Arc<Handles>, store: Arc<dyn Store>, spender: Arc<Spender>) -> Self {
        Self { handles, store, spender, used: Mutex::default() }
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the address that a user goes to, and what has to be known when the browser is back.
    async fn begin(&self, wish: &Wish) -> Result<(String, Pending), Refusal> {
        let Wish { plan, redirect, app } = wish;
        let server = signin::find(plan, self.spender.http()).await?;
        let client = server.client(plan)?;
        let signin::Server { metadata, issuer, manner: Manner { scopes, extra, .. }, .. } = server;
        // What an app asks for is all that it gets, down to the right to be refreshed.
        let literal = !plan.scopes.is_empty() && plan.server.entra.is_none();
        let scopes = if literal { plan.scopes.clone() } else { scopes };
        let authorization = issuer::authorize(&metadata, &client.id, redirect.as_str(), &scopes, &extra);
        let Some(Authorization { url, state, verifier }) = authorization else {
            return Err(Refusal::Unsupported { why: format!("{} has no usable sign-in address", plan.host) });
        };
        let iss_required = metadata.iss_parameter_supported;
        let chosen = Chosen {
            metadata,
            client,
            scopes,
            renewal: Renewal::RefreshToken,
            redirect_uri: Some(redirect.as_str().to_owned()),
            made_from: None,
        };
        let mut record = signin::record(plan, &chosen);
        record.id = SessionId::web(&plan.host, &format!("{:016x}", random::seed())).to_string();
        record.web = Some(WebUser { handle: String::new(), app: app.clone() });
        if app.is_some() {
            // The agent has it, and what it has leaves it in no form.
            record.client_secret = None;
        }
        let pending = Pending { record, state, verifier: verifier.reveal(), issuer, iss_required };
        if pending.is_too_long() {
            let why =
                "client, secret, redirect URL and scopes together are too long for a consent".to_owned();
            return Err(Refusal::Unsupported { why });
        }
        Ok((url, pending))
    }

    /// Spends the code of a sign-in that has come back. Nothing calls it off: who waits for it may be gone.
    async fn redeem(
        &self,
        pending: Pending,
        code: &SecretString,
        agent: &Handle,
    ) -> Result<ConsentFinished, Refusal> {
        let Pending { mut record, verifier, .. } = pending;
        let (handle, user) = issue(record.web.take().and_then(|web| web.app));
        record.web = Some(user.clone());
        let (handles, agent) = (self.handles.clone(), agent.clone());
        let report = move |outcome: Result<Box<SignedIn>, Refusal>| {
            if let Ok(signed_in) = outcome {
                handles.keep(signed_in.about.id.clone(), &user, clock::now());
                agent.send(Message::Happened(Event::Brought(signed_in)));
            }
        };
        let by = By::Code { code: code.clone(), verifier };
        let Banked { about, renewable, lease } = signin::bank(&self.spender, record, by, report).await?;
        let refreshable = renewable != Renewable::Never;
        if !refreshable {
            tracing::info!(session = %about.id, "a web session has no refresh token: it ends with its access token");
        }
        Ok(ConsentFinished {
            handle,
            session: about.id.to_string(),
            expires_at: clock::timestamp(lease.expires.wall()),
            refreshable,
            user: about.user,
            scopes: about.scopes,
        })
    }

    /// The same, and sees to what remains when it came to nothing, or nobody is there any more to be told.
    async fn finish(
        self: Arc<Self>,
        pending: Pending,
        code: SecretString,
        agent: Handle,
        done: oneshot::Sender<Result<(ConsentFinished, Unheard), Refusal>>,
    ) {
        let session = SessionId::named(&pending.record.id);
        let outcome = match self.redeem(pending, &code, &agent).await {
            Ok(finished) => Ok((finished, Unheard { session: Some(session), agent })),
            Err(refusal) => {
                self.used().give_back(&session);
                Err(refusal)
            }
        };
        // Nobody waits for it any more: then the session is nobody's.
        let _ = done.send(outcome);
    }
}

/// A session whose handle nobody has heard of yet; unless somebody does, nobody is left with it.
pub(crate) struct Unheard {
    session: Option<SessionId>,
    agent: Handle,
}

impl Unheard {
    /// The handle went out.
    pub(crate) fn heard(mut self) {
        self.session = None;
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            tracing::warn!(%session, "the app went away before it got its handle");
            self.agent.send(Message::Happened(Event::Abandoned(vec![session])));
        }
    }
}

/// What an app wants its user to sign in to.
struct Wish {
    plan: Plan,
    redirect: RedirectUrl,
    /// The name of the app, if the agent keeps its client.
    app: Option<String>,
}

/// What is known of the users of web apps besides their sessions.
pub(crate) struct Terms {
    handles: Arc<Handles>,
    idle: Duration,
}

impl Terms {
    /// Tells how a session is doing, with what only that of a web app's user has.
    pub(crate) fn shown(&self, session: &Session, now: Now) -> wire::Session {
        let user = session.about().id.is_web().then(|| self.handles.user_of(&session.about().id)).flatten();
        let web = user.map(|user| wire::Web {
            app: user.app.clone(),
            last_used_at: clock::timestamp(user.last_used(now)),
            idle_at: clock::timestamp(user.last_used(now).saturating_add(self.idle)),
        });
        wire::Session { web, ..translate::session(session, now) }
    }
}

impl Service {
    /// What listing sessions takes.
    pub(crate) fn web_terms(&self) -> Terms {
        let idle = self.config.known().settings.web_session_idle;
        Terms { handles: self.web.handles.clone(), idle }
    }

    /// The session that a handle is good for.
    pub(crate) fn web_session(&self, handle: &SecretString) -> Option<SessionId> {
        self.web.handles.find(handle, self.config.known().settings.web_session_idle, clock::now())
    }

    /// Begins the sign-in of a web app's user.
    pub(crate) async fn consent_start(&self, start: ConsentStart) -> Result<ConsentStarted, RpcError> {
        let wish = self.wish(start).await?;
        let (authorization_url, pending) = self.web.begin(&wish).await.map_err(|refusal| fault(&refusal))?;
        let until = pending.record.created_at + LIFETIME.as_secs();
        let web = self.web.clone();
        // The first note may have to wait for a keyring.
        let sealed = tokio::task::spawn_blocking(move || pending.seal(&*web.store)).await;
        let consent = match sealed {
            Ok(Ok(consent)) => consent,
            Ok(Err(error)) => return Err(fault(&Refusal::StoreFailed { why: error.to_string() }).into()),
            Err(_) => return Err(fault(&Refusal::StoreFailed { why: "sealing it failed".into() }).into()),
        };
        let expires_at = clock::timestamp(Duration::from_secs(until));
        Ok(ConsentStarted { authorization_url, consent, expires_at })
    }

    async fn wish(&self, start: ConsentStart) -> Result<Wish, Fault> {
        let ConsentStart {
            host,
            account_id,
            client_id,
            app,
            client_secret,
            mut redirect_url,
            scopes,
            provider,
        } = start;
        let mut login = Login {
            host: Some(host),
            account_id,
            client_id,
            client_secret,
            scopes,
            provider,
            ..Login::default()
        };
        if login.client_secret.is_some() && login.client_id.is_none() && app.is_none() {
            let why = "a client secret without its client";
            return Err(Fault::new(Kind::Unsupported, why, "name the client as well: client_id"));
        }
        if let Some(bad) = login.scopes.iter().find(|scope| !is_scope(scope)) {
            let hint = "a scope is one word, such as clusters";
            return Err(Fault::new(Kind::Unsupported, format!("{bad:.80?} is no scope"), hint));
        }
        let kept = app.as_ref().map(|name| self.apps.find(name)).transpose()?;
        if let (Some(name), Some(kept)) = (&app, &kept) {
            if login.client_id.is_some() || login.client_secret.is_some() || login.provider.is_some() {
                let why = "an app that the agent keeps has its own client, and a Databricks server";
                return Err(Fault::new(Kind::Unsupported, why, "name either the app or the client"));
            }
            redirect_url = Some(redirect_of(name, &kept.redirect_urls, redirect_url)?);
            (login.client_id, login.client_secret) =
                (Some(kept.client_id.clone()), kept.client_secret.clone());
            if login.scopes.is_empty() {
                login.scopes.clone_from(&kept.scopes);
            }
        }
        let redirect_url = redirect_url.ok_or_else(|| bad_redirect("there is none"))?;
        let redirect = RedirectUrl::parse(&redirect_url).map_err(|error| bad_redirect(&error.to_string()))?;
        let plan = self.plan(login).await?;
        if let Some(kept) = kept.filter(|kept| !kept.is_for(&plan.host)) {
            let message = format!(
                "the client {:.80} is kept for its own account, and {} is elsewhere",
                kept.client_id, plan.host
            );
            let hint = "name a workspace of that account, or the client and its secret instead of the app";
            return Err(Fault::new(Kind::Unsupported, message, hint));
        }
        Ok(Wish { plan, redirect, app })
    }

    /// Ends the sign-in of a web app's user: a session, and the handle that is good for it.
    pub(crate) async fn consent_finish(
        &self,
        finish: ConsentFinish,
    ) -> Result<(ConsentFinished, Unheard), RpcError> {
        let ConsentFinish { consent, callback_url, params } = finish;
        let came_back = match (callback_url, params) {
            (Some(url), None) => CameBack::At(url),
            (None, Some(params)) => {
                CameBack::With(params.pairs().map(|(name, value)| (name.to_owned(), value.into())).collect())
            }
            (Some(_), Some(_)) | (None, None) => {
                let why = "either callback_url or params says what came back";
                return Err(RpcError::new(sso_agent_proto::rpc::Code::InvalidParams, why));
            }
        };
        let web = self.web.clone();
        // The key may have to be fetched from a keyring.
        let unsealed = tokio::task::spawn_blocking(move || {
            let pending = Pending::unseal(&*web.store, &consent)?;
            let consent = pending.consent()?;
            Some((pending, consent))
        });
        let known = unsealed.await.unwrap_or_default();
        let Some((mut pending, consent)) = known else {
            let why = "the consent is not one of this agent's, or was changed";
            return Err(Fault::new(Kind::Denied, why, START_OVER).into());
        };
        let now = clock::now();
        let code = consent.judge(&came_back, now).map_err(not_consented)?;
        if self.web.handles.was_there(&consent.session) {
            return Err(not_consented(NotConsented::Again).into());
        }
        self.add_kept_secret(&mut pending.record)?;
        self.web.used().take(&consent.session, now).map_err(not_consented)?;
        let (done, told) = oneshot::channel();
        let job = self.web.clone().finish(pending, code, self.handle.clone(), done);
        self.handle.send(Message::Job(Box::pin(job)));
        match told.await {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(refusal)) => Err(fault(&refusal).into()),
            Err(_) => {
                self.web.used().give_back(&consent.session);
                Err(crate::rpc::service::stopped())
            }
        }
    }

    /// What the agent keeps is not in a consent.
    fn add_kept_secret(&self, record: &mut Record) -> Result<(), Fault> {
        let Some(name) = record.web.as_ref().and_then(|web| web.app.as_deref()) else { return Ok(()) };
        let kept = self.apps.find(name)?;
        if kept.client_id != record.client_id {
            let why = format!("the app {name:.80?} has another client now");
            return Err(Fault::new(Kind::Denied, why, START_OVER));
        }
        record.client_secret = kept.client_secret;
        Ok(())
    }

    /// Signs a web app's user out. A handle that is good for nothing has nothing to be revoked.
    pub(crate) async fn consent_end(&self, end: &ConsentEnd) -> Result<LoggedOut, RpcError> {
        let Some(session) = self.web_session(&end.handle) else {
            return Ok(LoggedOut { revoked: false });
        };
        match self.handle.logout(Target::Web(session)).await {
            Ok(revoked) => Ok(LoggedOut { revoked }),
            Err(Refusal::ConsentRequired { .. } | Refusal::Unknown { .. }) => {
                Ok(LoggedOut { revoked: false })
            }
            Err(refusal) => Err(fault(&refusal).into()),
        }
    }
}

/// RFC 6749, 3.3; several in one text are as good as a list.
fn is_scope(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    !text.trim().is_empty() && text.bytes().all(fits)
}

/// The redirect URL that an app means: one of its own.
fn redirect_of(name: &str, own: &[String], said: Option<String>) -> Result<String, Fault> {
    match (said, own) {
        (Some(said), own) if own.contains(&said) => Ok(said),
        (Some(_), _) => Err(Fault::new(
            Kind::Unsupported,
            format!("the app {name:.80?} has no such redirect URL"),
            "`sso app show` lists those that it has; `sso app update` changes them",
        )),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(bad_redirect("the app has several: one has to be named")),
    }
}

fn bad_redirect(why: &str) -> Fault {
    Fault::new(
        Kind::Unsupported,
        format!("the redirect URL will not do: {why}"),
        "name the address that the browser comes back to, as it is registered: redirect_url",
    )
}

fn not_consented(why: NotConsented) -> Fault {
    let message = why.to_string();
    match why {
        NotConsented::Late => Fault::new(Kind::Timeout, message, START_OVER),
        NotConsented::NotIts(_) | NotConsented::Again => Fault::new(Kind::Denied, message, START_OVER),
        NotConsented::Refused(said) => {
            translate::said_by(Fault::new(Kind::IssuerRejected, message, START_OVER), Some(&said))
        }
    }
}

/// The same as for everybody, with what a web app does about it.
fn fault(refusal: &Refusal) -> Fault {
    let mut fault = translate::fault(refusal);
    match refusal {
        Refusal::Rejected(said) if said.error == "invalid_grant" => fault.data.hint = START_OVER.to_owned(),
        Refusal::Rejected(_) => {
            "see that the client, its secret, the scopes and the redirect URL are as they were registered"
                .clone_into(&mut fault.data.hint);
        }
        Refusal::Unsupported { .. } => {
            "name the client (client_id) or an app that the agent keeps (app), and the host"
                .clone_into(&mut fault.data.hint);
        }
        Refusal::LoginRequired { .. }
        | Refusal::ConsentRequired { .. }
        | Refusal::Denied { .. }
        | Refusal::Unknown { .. }
        | Refusal::Ambiguous { .. }
        | Refusal::Unavailable { .. }
        | Refusal::Timeout
        | Refusal::Cancelled { .. }
        | Refusal::StoreFailed { .. } => {}
    }
    fault
}
