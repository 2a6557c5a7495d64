//! Programs that the agent signs in when their profile is asked for a token: once however many ask, and
//! not again and again with a secret that is refused.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sso_agent_core::{login::Plan, refusal::Refusal, time::Deadline, words::SessionId};
use sso_agent_proto::fault::Fault;

use super::translate;
use crate::{
    clock,
    handle::{Handle, LoginNews},
};

/// How long an issuer's no counts for the same settings.
const NO_COUNTS: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(crate) struct Machines(Mutex<HashMap<SessionId, Failed>>);

struct Failed {
    made_from: Option<String>,
    refusal: Refusal,
    until: Deadline,
}

impl Machines {
    /// Signs in, or joins those who do.
    ///
    /// # Errors
    /// A [`Fault`] for whoever asked.
    pub(crate) async fn sign_in(&self, handle: &Handle, plan: Plan, wait: Duration) -> Result<(), Fault> {
        let (session, made_from) = (plan.session(), plan.made_from.clone());
        if let Some(refusal) = self.failed_before(&session, made_from.as_deref()) {
            return Err(translate::fault(&refusal));
        }
        let mut watch = handle.login(plan);
        let done = async {
            loop {
                match watch.next().await {
                    LoginNews::Done(outcome) => return outcome,
                    LoginNews::Authorize(_) | LoginNews::Step(_) => {}
                }
            }
        };
        let outcome = tokio::time::timeout(wait, done).await.unwrap_or(Err(Refusal::Timeout));
        match outcome {
            Ok(_) => {
                self.lock().remove(&session);
                Ok(())
            }
            Err(refusal) => {
                self.note(session, made_from, refusal.clone());
                Err(translate::fault(&refusal))
            }
        }
    }

    fn failed_before(&self, session: &SessionId, made_from: Option<&str>) -> Option<Refusal> {
        let now = clock::now();
        let failed = self.lock();
        let failed = failed.get(session)?;
        let counts = failed.made_from.as_deref() == made_from && !failed.until.is_over(now);
        let mut refusal = counts.then(|| failed.refusal.clone())?;
        if let Refusal::Unavailable { retry_after, .. } = &mut refusal {
            *retry_after = failed.until.left(now);
        }
        Some(refusal)
    }

    fn note(&self, session: SessionId, made_from: Option<String>, refusal: Refusal) {
        let pause = match &refusal {
            Refusal::Unavailable { retry_after, .. } => (*retry_after).min(NO_COUNTS),
            Refusal::Rejected(_) | Refusal::LoginRequired { .. } | Refusal::Unsupported { .. } => NO_COUNTS,
            Refusal::Timeout
            | Refusal::ConsentRequired { .. }
            | Refusal::Denied { .. }
            | Refusal::Cancelled { .. }
            | Refusal::StoreFailed { .. }
            | Refusal::Unknown { .. }
            | Refusal::Ambiguous { .. } => return,
        };
        self.lock().insert(session, Failed { made_from, refusal, until: clock::now().after(pause) });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
