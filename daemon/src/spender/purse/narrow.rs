//! A token with fewer scopes than its session has, bought with the session's own refresh token.

use std::sync::Arc;

use sso_agent_core::{
    refusal::Refusal,
    words::{Lease, SessionId},
};

use super::{Purse, in_doubt, leased, not_granted, not_kept, pay::Paid, refused, rejected, unavailable};
use crate::{
    issuer::{Outcome, Unreachable},
    spender::means::Without,
    store::{Record, Renewal},
};

/// Never part of a token.
const OFFLINE: &str = "offline_access";

impl Purse {
    /// Buys a token with these scopes only; the session's own lease is left alone.
    pub(super) async fn narrow(&self, id: &SessionId, scopes: &[String]) -> Result<Arc<Lease>, Refusal> {
        // What is held would be overwritten by the record on disk, which is older.
        self.bank_what_is_held(id).await.map_err(|error| refused(id, error))?;
        let mut entry = self.entry(id).await.map_err(|error| not_kept(&error))?;
        let record = self.record(id).await.map_err(|error| refused(id, error))?;
        entry.look_at(record.refresh_token.as_ref());
        if let Some(why) = &record.login_required {
            // A refresh token that was turned down is not sent again.
            return Err(not_granted(id, why.clone(), None));
        }
        let place = self.crowd.place(&record.token_endpoint).await;
        let _place = place.map_err(|why| unavailable(why.to_owned(), None))?;
        let slot = self.slot(id, &record).await.map_err(|error| not_kept(&error))?;
        let Paid { outcome, asked } = match self.pay(&record, scopes, true, &mut entry).await {
            Ok(paid) => paid,
            Err(Without::Means(why)) => return Err(not_granted(id, why, None)),
            Err(Without::Now { why, retry_after }) => return Err(unavailable(why, retry_after)),
        };
        let by_refresh_token = matches!(record.renewal, Renewal::RefreshToken);
        match outcome {
            Outcome::Granted(grant) => {
                let lease = Arc::new(leased(&grant, scopes, asked));
                if by_refresh_token {
                    self.bank_successor(id, slot, record, grant.refresh_token, false, &mut entry)
                        .await
                        .map_err(|error| not_kept(&error))?;
                }
                let got = lease.scopes.iter().filter(|scope| *scope != OFFLINE);
                let all_wanted = scopes.iter().all(|scope| lease.scopes.contains(scope));
                if !all_wanted || got.clone().any(|scope| !scopes.contains(scope)) {
                    let why = "the issuer gives these scopes no token of their own".to_owned();
                    return Err(not_granted(id, why, None));
                }
                Ok(lease)
            }
            // After an answer that was lost this is no word about scopes.
            Outcome::Rejected(said) if in_doubt(&entry).is_some() => {
                let (why, _) = rejected(said.clone(), in_doubt(&entry));
                entry.done();
                self.note(id, slot, Record { login_required: Some(why.clone()), ..record }).await;
                Err(not_granted(id, why, Some(said)))
            }
            Outcome::Rejected(said) => {
                entry.done();
                Err(not_granted(id, "the issuer gives no such token".to_owned(), Some(said)))
            }
            Outcome::Refused(said) => {
                if in_doubt(&entry).is_none() {
                    entry.done();
                }
                if said.error == "invalid_scope" {
                    let why = "the issuer does not give these scopes".to_owned();
                    return Err(not_granted(id, why, Some(said)));
                }
                Err(Refusal::Rejected(said))
            }
            Outcome::Unreachable(Unreachable { why, retry_after, salvaged, .. }) => {
                if salvaged.is_some() {
                    self.bank_successor(id, slot, record, salvaged, false, &mut entry)
                        .await
                        .map_err(|error| not_kept(&error))?;
                }
                Err(unavailable(why, retry_after))
            }
        }
    }
}
