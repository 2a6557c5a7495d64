//! One purchase, and what is done when nobody knows whether it was one.
//!
//! An exchange was not sent, was answered, or may have been heard: then the refresh token may be spent and
//! its successor lost. If it is lost, sending the token again costs at most what is left of the access
//! token; if the issuer forgives a second use, that has to come soon; and if it was not heard at all, all is
//! well. So the token is sent once more at once, and whatever comes of that is told. After that it rests
//! until the access token is of no use any more, or not good enough for somebody who waits, and then it is sent as
//! if for the first time.

use std::time::Duration;

use sso_agent_core::{host::Host, time::Now};

use super::{Purse, blocking};
use crate::{
    clock,
    issuer::{self, Outcome, Sent, Unreachable},
    spender::{
        lease::restored,
        ledger::{Entry, Intent, fingerprint},
        means::{Without, client_of, server_of, show},
    },
    store::{Record, Renewal},
};

/// Before the access token ends, an answer that was lost is followed up.
const BEFORE_THE_END: Duration = Duration::from_secs(120);

/// For so long at most nobody asks again for a token that rests: somebody may come who cannot wait for it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// With an access token that is good for so long, it is not risked at a server that ends the whole family
/// of tokens when one comes again.
const WORTH_KEEPING: Duration = Duration::from_secs(600);

/// What came of a purchase.
pub(super) struct Paid {
    pub(super) outcome: Outcome,
    /// When the request began whose answer this is.
    pub(super) asked: Now,
}

impl Purse {
    /// Buys an access token: one with these scopes only, or with all of the session's if there are none.
    /// The entry is left open if the refresh token may be spent, and until its successor is banked.
    pub(super) async fn pay(
        &self,
        record: &Record,
        scopes: &[String],
        urgent: bool,
        entry: &mut Entry,
    ) -> Result<Paid, Without> {
        let (server, client) = (server_of(record), client_of(record));
        if !matches!(record.renewal, Renewal::RefreshToken) {
            let asked = clock::now();
            let wanted = if scopes.is_empty() { &record.scopes } else { scopes };
            let outcome = show(&self.http, &server, &client, &record.renewal, wanted).await?;
            return Ok(Paid { outcome, asked });
        }
        let Some(token) = &record.refresh_token else {
            return Err(Without::Means("there is no refresh token on record".to_owned()));
        };
        let mut intent = self.first(record, urgent, entry).await?;
        loop {
            let asked = clock::now();
            *entry = self.begin(std::mem::take(entry), intent.clone()).await?;
            let origin = record.redirect_uri.as_deref();
            let outcome = issuer::refresh(&self.http, &server, &client, token, scopes, origin).await;
            match &outcome {
                Outcome::Unreachable(Unreachable { sent: Sent::Maybe, salvaged: None, why, .. }) => {
                    tracing::warn!(
                        session = record.id,
                        why,
                        sends = intent.sends,
                        "the answer to a refresh is lost"
                    );
                    if is_worth_keeping(record, clock::now()) {
                        return Ok(Paid { outcome, asked });
                    }
                    if intent.sends > 1 {
                        *entry = self.begin(std::mem::take(entry), intent.resting()).await?;
                        return Ok(Paid { outcome, asked });
                    }
                    intent = intent.again();
                }
                Outcome::Unreachable(Unreachable { salvaged: None, .. }) => {
                    // The token is as good as it was.
                    if !intent.in_doubt {
                        entry.done();
                    }
                    return Ok(Paid { outcome, asked });
                }
                Outcome::Granted(_)
                | Outcome::Rejected(_)
                | Outcome::Refused(_)
                | Outcome::Unreachable(Unreachable { salvaged: Some(_), .. }) => {
                    return Ok(Paid { outcome, asked });
                }
            }
        }
    }

    /// The intent to send the record's refresh token, if it may be sent now.
    async fn first(&self, record: &Record, urgent: bool, entry: &Entry) -> Result<Intent, Without> {
        let Some(token) = record.refresh_token.clone() else {
            return Err(Without::Means("there is no refresh token on record".to_owned()));
        };
        let print = fingerprint(&token);
        let ledger = self.ledger.clone();
        let spent = blocking(move || ledger.is_spent(&token)).await;
        if spent.map_err(|error| Without::now(error.to_string()))? {
            let why = "its refresh token was spent before: what is stored is older than what was done (was it restored from a backup?)";
            return Err(Without::Means(why.to_owned()));
        }
        let now = clock::now();
        let Some(left) = entry.left().filter(|left| left.is_of(&print)) else {
            return Ok(Intent::new(&record.id, &print, now));
        };
        let wait = hold_back(left, record, now);
        if !urgent && !wait.is_zero() {
            return Err(lost(left, wait));
        }
        Ok(if left.rests || !left.is_young(now) { left.after_rest(now) } else { left.again() })
    }

    pub(super) async fn begin(&self, mut entry: Entry, intent: Intent) -> Result<Entry, Without> {
        let begun = blocking(move || entry.begin(intent).map(|()| entry)).await;
        begun.map_err(|error| Without::now(error.to_string()))
    }
}

/// For how long a token is not sent again of which nobody knows whether it is spent.
///
/// Whoever died while it was being sent heard no answer, so that one counts as lost; but an issuer that forgives
/// does so for a while only, however often we die.
fn hold_back(left: &Intent, record: &Record, now: Now) -> Duration {
    let good_for = good_for(record, now);
    if left.rests {
        good_for
    } else if left.is_young(now) && !is_worth_keeping(record, now) {
        Duration::ZERO
    } else {
        good_for.saturating_sub(BEFORE_THE_END)
    }
}

fn lost(left: &Intent, wait: Duration) -> Without {
    let at = clock::timestamp(Duration::from_secs(left.at));
    Without::Now {
        why: format!("the answer to a refresh was lost (interrupted refresh at {at})"),
        retry_after: Some(wait.min(LOOK_AGAIN)),
    }
}

pub(super) fn good_for(record: &Record, now: Now) -> Duration {
    record.lease.as_ref().map(|lease| restored(lease, now).expires.left(now)).unwrap_or_default()
}

/// Databricks ends the whole family, the access token too, when a single-use refresh token comes again.
fn is_worth_keeping(record: &Record, now: Now) -> bool {
    let host = Host::parse(&record.host, None);
    host.is_ok_and(|host| host.is_databricks()) && good_for(record, now) > WORTH_KEEPING
}
