//! Taking over a refresh token that another tool has kept: it is spent once, in the session's turn and with
//! room in the store, like one of our own.

use std::sync::PoisonError;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sso_agent_core::{
    refusal::Refusal,
    words::{Lease, SessionId},
};

use super::{Spender, client_of, leased, server_of, stored};
use crate::{
    clock,
    issuer::{self, Outcome, Sent, Unreachable},
    store::{Record, Slot},
};

/// When an issuer that is down is worth another try, if it does not say.
const TRY_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// What came of it: all is banked.
pub(crate) struct Taken {
    pub(crate) record: Record,
    pub(crate) lease: Lease,
}

impl Spender {
    /// Spends the refresh token of `record` and banks what it brings; `report` as for
    /// [`renew`](Self::renew).
    pub(crate) async fn take_over(&self, record: Record, report: impl FnOnce(Result<Taken, Refusal>)) {
        let id = SessionId::named(&record.id);
        let _turn = self.turns.of(&id).await;
        let taken = self.take(&id, record).await;
        if taken.is_ok() {
            self.narrow.forget(&id);
        }
        report(taken);
    }

    async fn take(&self, id: &SessionId, record: Record) -> Result<Taken, Refusal> {
        let Some(token) = record.refresh_token.clone() else {
            return Err(Refusal::Unsupported { why: "there is no refresh token to take over".to_owned() });
        };
        let unavailable = |why: &str| Refusal::Unavailable { why: why.to_owned(), retry_after: TRY_AGAIN };
        let _place = self.crowd.place(&record.token_endpoint).await.map_err(unavailable)?;
        let slot = self.slot(id).await.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
        if !self.is_the_first(&token) {
            return Err(Refusal::Cancelled { why: "this sign-in was taken over already".to_owned() });
        }
        self.spend_taken(id, record, &token, slot).await
    }

    async fn spend_taken(
        &self,
        id: &SessionId,
        mut record: Record,
        token: &SecretString,
        slot: Box<dyn Slot>,
    ) -> Result<Taken, Refusal> {
        let asked = clock::now();
        match issuer::refresh(&self.http, &server_of(&record), &client_of(&record), token, &[], None).await {
            Outcome::Granted(grant) => {
                let lease = leased(&grant, &record.scopes, asked);
                record.lease = Some(stored(&lease));
                record.scopes.clone_from(&lease.scopes);
                record.refresh_token = grant.refresh_token.clone().or(record.refresh_token);
                record.user = issuer::told(&grant);
                let banked = self.bank(id, slot, record.clone(), true).await;
                banked.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
                Ok(Taken { record, lease })
            }
            Outcome::Rejected(said) | Outcome::Refused(said) => Err(Refusal::Rejected(said)),
            Outcome::Unreachable(Unreachable { why, retry_after, sent, salvaged }) => {
                if sent == Sent::No {
                    self.forget_taken(token);
                }
                if let Some(salvaged) = salvaged {
                    // The other tool's copy is spent: this one is all there is. A restart finds it.
                    record.refresh_token = Some(salvaged);
                    let banked = self.bank(id, slot, record, false).await;
                    banked.map_err(|error| Refusal::StoreFailed { why: error.to_string() })?;
                }
                Err(Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) })
            }
        }
    }

    fn is_the_first(&self, token: &SecretString) -> bool {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(digest(token))
    }

    fn forget_taken(&self, token: &SecretString) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(token));
    }
}

fn digest(token: &SecretString) -> [u8; 32] {
    Sha256::digest(token.expose_secret()).into()
}
