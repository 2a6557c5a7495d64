//! What a sign-in brings: durable first, then told.

use secrecy::SecretString;
use sso_agent_core::{
    refusal::Refusal,
    time::Now,
    words::{Lease, SessionId},
};
use std::sync::Arc;

use super::{
    Held, Paid, Purse, blocking, client_of, leased, not_kept, renewable, server_of, show, stored, unavailable,
};
use crate::{
    clock,
    issuer::{self, Grant, Outcome, Unreachable},
    spender::{
        By, Signed, TRY_AGAIN,
        ledger::{Entry, Intent, fingerprint},
        means::Without,
    },
    store::{Record, Slot},
};

impl Purse {
    /// Buys the first tokens of a session and keeps them. There is room for them before anything is spent,
    /// and from the moment that they are asked for nothing calls it off.
    pub(super) async fn sign_in(&self, record: Record, by: By) -> Result<Signed, Refusal> {
        let id = SessionId::named(&record.id);
        let place = self.crowd.place(&record.token_endpoint).await;
        let _place = place.map_err(|why| unavailable(why.to_owned(), None))?;
        // What is held of the session before has the session's place with it.
        let held = self.held().remove(&id);
        let (mut held, mut entry) = match held {
            Some(Held { record, lease_is_new, entry }) => (Some((record, lease_is_new)), entry),
            None => (None, self.entry(&id).await.map_err(|error| not_kept(&error))?),
        };
        let outcome = self.sign_in_at(&id, record, by, &mut entry).await;
        if let (Err(_), Some((record, lease_is_new))) = (&outcome, held.take()) {
            self.held().entry(id).or_insert(Held { record, lease_is_new, entry });
        }
        outcome
    }

    async fn sign_in_at(
        &self,
        id: &SessionId,
        record: Record,
        by: By,
        entry: &mut Entry,
    ) -> Result<Signed, Refusal> {
        let slot = self.slot(id, &record).await.map_err(|error| not_kept(&error))?;
        let asked = clock::now();
        match by {
            By::Code { code, verifier } => {
                // An agent that starts meanwhile has to look again when this has come to its end.
                let noted = entry.left().is_none();
                if noted {
                    let intent = Intent::new(id.as_str(), &fingerprint(&code), asked);
                    *entry = self.begin(std::mem::take(entry), intent).await.map_err(not_now)?;
                }
                let redirect = record.redirect_uri.clone().unwrap_or_default();
                let (server, client) = (server_of(&record), client_of(&record));
                let outcome =
                    issuer::exchange_code(&self.http, &server, &client, &redirect, &code, &verifier).await;
                if noted {
                    entry.done();
                }
                self.keep(id, slot, record, granted(outcome)?, asked, entry).await
            }
            By::Means => {
                let grant = self.shown(&record).await?;
                self.keep(id, slot, record, grant, asked, entry).await
            }
            By::Refresh => self.take_over(id, slot, record, entry).await,
        }
    }

    /// A token of a program for one call.
    pub(super) async fn once(&self, record: &Record) -> Result<Arc<Lease>, Refusal> {
        let asked = clock::now();
        let grant = self.shown(record).await?;
        Ok(Arc::new(leased(&grant, &record.scopes, asked)))
    }

    async fn shown(&self, record: &Record) -> Result<Grant, Refusal> {
        let (server, client) = (server_of(record), client_of(record));
        match show(&self.http, &server, &client, &record.renewal, &record.scopes).await {
            Ok(outcome) => granted(outcome),
            Err(Without::Means(why)) => Err(no_identity(why)),
            Err(Without::Now { why, retry_after }) => Err(unavailable(why, retry_after)),
        }
    }

    async fn keep(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        mut record: Record,
        grant: Grant,
        asked: Now,
        entry: &mut Entry,
    ) -> Result<Signed, Refusal> {
        let lease = leased(&grant, &record.scopes, asked);
        record.scopes.clone_from(&lease.scopes);
        record.user = issuer::told(&grant);
        record.refresh_token.clone_from(&grant.refresh_token);
        record.lease = Some(stored(&lease));
        let kept = record.clone();
        if let Err(error) = blocking(move || slot.commit(&kept)).await
            && !self.is_on_record(id, &record).await
        {
            self.give_back(&record).await;
            return Err(not_kept(&error));
        }
        // Only now is what was begun of the one before of no use any more.
        entry.done();
        if let Some(token) = &record.refresh_token {
            let (ledger, given) = (self.ledger.clone(), fingerprint(token));
            let noted = tokio::task::spawn_blocking(move || ledger.is_good_again(&given)).await;
            noted.unwrap_or_else(
                |error| tracing::warn!(%error, "a token that is good again could not be noted"),
            );
        }
        self.find_user(&mut record, &grant).await;
        Ok(signed(record, lease))
    }

    /// Whether it is there all the same: the last step may have failed alone.
    async fn is_on_record(&self, id: &SessionId, record: &Record) -> bool {
        let print = |record: &Record| record.refresh_token.as_ref().map(fingerprint);
        self.record(id).await.is_ok_and(|found| print(&found) == print(record))
    }

    /// What cannot be kept is not left lying about at the issuer.
    async fn give_back(&self, record: &Record) {
        let Some(token) = &record.refresh_token else { return };
        let revoked = issuer::revoke(&self.http, &server_of(record), &client_of(record), token).await;
        tracing::warn!(
            session = record.id,
            revoked = matches!(revoked, Ok(true)),
            "a sign-in could not be kept"
        );
    }

    async fn find_user(&self, record: &mut Record, grant: &Grant) {
        if record.user.is_some() {
            return;
        }
        record.user = issuer::asked(&self.http, &server_of(record), grant).await;
        let named = record.clone();
        if record.user.is_some()
            && let Err(error) = self.in_store(move |store| store.put(&named)).await
        {
            tracing::warn!(session = record.id, %error, "whose session it is could not be noted");
        }
    }

    /// Spends a refresh token that another tool has kept, like one of our own.
    async fn take_over(
        &self,
        id: &SessionId,
        slot: Box<dyn Slot>,
        mut record: Record,
        entry: &mut Entry,
    ) -> Result<Signed, Refusal> {
        let Some(token) = record.refresh_token.clone() else {
            return Err(Refusal::Unsupported { why: "there is no refresh token to take over".to_owned() });
        };
        let (ledger, theirs) = (self.ledger.clone(), token.clone());
        if blocking(move || ledger.is_spent(&theirs)).await.map_err(|error| not_kept(&error))? {
            return Err(Refusal::Cancelled { why: "this sign-in was taken over already".to_owned() });
        }
        let Paid { outcome, asked } = self.pay(&record, &[], true, entry).await.map_err(not_now)?;
        match outcome {
            Outcome::Granted(grant) => {
                let lease = leased(&grant, &record.scopes, asked);
                record.lease = Some(stored(&lease));
                record.scopes.clone_from(&lease.scopes);
                record.user = issuer::told(&grant);
                let next = grant.refresh_token.clone();
                let kept =
                    Record { refresh_token: next.clone().or(record.refresh_token.clone()), ..record.clone() };
                if let Err(error) = self.bank_successor(id, slot, record, next, true, entry).await {
                    // What it brought is held: the other tool's copy is worth nothing any more.
                    self.is_now_spent(&token).await;
                    return Err(not_kept(&error));
                }
                Ok(signed(kept, lease))
            }
            Outcome::Rejected(said) | Outcome::Refused(said) => {
                entry.done();
                Err(Refusal::Rejected(said))
            }
            Outcome::Unreachable(Unreachable { why, retry_after, salvaged, .. }) => {
                if let Some(salvaged) = salvaged {
                    // The other tool's copy is spent: this one is all there is. A restart finds it.
                    self.bank_successor(id, slot, record, Some(salvaged), false, entry)
                        .await
                        .map_err(|error| not_kept(&error))?;
                }
                Err(unavailable(why, retry_after))
            }
        }
    }

    async fn is_now_spent(&self, token: &SecretString) {
        let (ledger, print) = (self.ledger.clone(), fingerprint(token));
        // It warns by itself when that cannot be noted.
        let _ = tokio::task::spawn_blocking(move || ledger.is_now_spent(&print)).await;
    }
}

fn signed(record: Record, lease: Lease) -> Signed {
    let renewable = renewable(&record);
    Signed { scopes: record.scopes, user: record.user, renewable, lease: Arc::new(lease) }
}

/// What an exchange brought, or why it brought nothing.
fn granted(outcome: Outcome) -> Result<Grant, Refusal> {
    match outcome {
        Outcome::Granted(grant) => Ok(grant),
        Outcome::Rejected(said) | Outcome::Refused(said) => Err(Refusal::Rejected(said)),
        Outcome::Unreachable(Unreachable { why, retry_after, .. }) => {
            Err(Refusal::Unavailable { why, retry_after: retry_after.unwrap_or(TRY_AGAIN) })
        }
    }
}

fn not_now(without: Without) -> Refusal {
    match without {
        Without::Means(why) => Refusal::Unsupported { why },
        Without::Now { why, retry_after } => unavailable(why, retry_after),
    }
}

fn no_identity(why: String) -> Refusal {
    Refusal::Rejected(sso_agent_core::refusal::OAuthError {
        error: "no identity token".to_owned(),
        description: Some(why),
    })
}
