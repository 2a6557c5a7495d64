//! Leases as the issuer grants them, as the store keeps them, as the core holds them.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sso_agent_core::{
    kept::{Kept, Left},
    time::Now,
    words::Lease,
};

use crate::{
    clock,
    issuer::Grant,
    store::{SteadyAt, StoredLease},
};

/// What a token gets whose issuer does not say how long it lives (RFC 6749, 5.1 leaves it open).
const UNSAID_LIFETIME: Duration = Duration::from_secs(300);

/// Issuers count whole seconds and round down when they begin: a token may end this much earlier.
const ROUNDED: Duration = Duration::from_secs(1);

/// The lease that an answer brings to a request made at `asked`: its life is counted from then, since
/// nobody knows when within the round trip the issuer began to count.
pub(crate) fn leased(grant: &Grant, asked_for: &[String], asked: Now) -> Lease {
    let lifetime = grant.expires_in.unwrap_or(UNSAID_LIFETIME);
    Lease {
        access_token: grant.access_token.clone(),
        token_type: grant.token_type.clone(),
        token_id: token_id(&grant.access_token),
        scopes: grant.scopes.clone().unwrap_or_else(|| asked_for.to_vec()),
        obtained: asked,
        lifetime,
        expires: asked.after(lifetime - ROUNDED.min(lifetime / 10)),
    }
}

/// As the store keeps it.
pub(crate) fn stored(lease: &Lease) -> StoredLease {
    stored_in(clock::boot(), lease)
}

fn stored_in(boot: Option<&str>, lease: &Lease) -> StoredLease {
    StoredLease {
        access_token: lease.access_token.clone(),
        token_type: lease.token_type.clone(),
        scopes: lease.scopes.clone(),
        issued_at: lease.obtained.wall.as_secs(),
        expires_at: lease.expires.wall().as_secs(),
        steady: boot.map(|boot| SteadyAt { boot: boot.to_owned(), at: lease.obtained.steady.as_secs() }),
    }
}

/// As it is after a restart: what is left of it can only have become less.
pub(crate) fn restored(stored: &StoredLease, now: Now) -> Lease {
    restored_in(clock::boot(), stored, now)
}

fn restored_in(boot: Option<&str>, stored: &StoredLease, now: Now) -> Lease {
    let kept = Kept {
        issued_at: stored.issued_at,
        expires_at: stored.expires_at,
        steady: stored.steady.as_ref().map(|steady| (steady.boot.as_str(), steady.at)),
    };
    let Left { left, age } = kept.left(now, boot);
    Lease {
        access_token: stored.access_token.clone(),
        token_type: stored.token_type.clone(),
        token_id: token_id(&stored.access_token),
        scopes: stored.scopes.clone(),
        obtained: Now { steady: now.steady.saturating_sub(age), wall: Duration::from_secs(stored.issued_at) },
        lifetime: kept.lifetime(),
        expires: now.after(left),
    }
}

/// How long a token counts as good whose end nobody knows: after that it is read again.
const READ_AGAIN: Duration = Duration::from_secs(3600);

/// As a token is handed out that stands in a file of the person's.
pub(crate) fn passed_through(token: SecretString, now: Now) -> Lease {
    Lease {
        token_type: "Bearer".to_owned(),
        token_id: token_id(&token),
        access_token: token,
        scopes: Vec::new(),
        obtained: now,
        lifetime: READ_AGAIN,
        expires: now.after(READ_AGAIN),
    }
}

/// Tells tokens apart without telling them: the beginning of a hash.
fn token_id(token: &SecretString) -> String {
    let hash = Sha256::digest(token.expose_secret());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(steady: u64, wall: u64) -> Now {
        Now { steady: Duration::from_secs(steady), wall: Duration::from_secs(wall) }
    }

    fn grant(expires_in: Option<u64>) -> Grant {
        Grant {
            access_token: "token".into(),
            token_type: "Bearer".into(),
            expires_in: expires_in.map(Duration::from_secs),
            refresh_token: None,
            scopes: None,
            id_token: None,
        }
    }

    #[test]
    fn what_is_left_after_a_restart_is_what_was_left_before() {
        let lease = leased(&grant(Some(3600)), &["a".to_owned()], at(100, 10_000));
        let back = restored_in(None, &stored_in(None, &lease), at(5, 11_000));
        assert_eq!(back.expires.left(at(5, 11_000)), Duration::from_secs(2599));
        assert_eq!(back.token_id, lease.token_id);
        assert_eq!(back.scopes, ["a"]);
    }

    // Fault 18: a clock that was set while the agent was down.
    #[test]
    fn f18_a_wall_clock_that_was_set_gives_no_stored_token_a_longer_life() {
        let kept = stored_in(Some("this"), &leased(&grant(Some(3600)), &[], at(100, 10_000)));
        let left = |boot, now: Now| restored_in(boot, &kept, now).expires.left(now).as_secs();
        for set_back in [1_000, 10_000, 11_000] {
            assert_eq!(left(Some("this"), at(1_100, set_back)), 2598, "the steady clock knows");
        }
        assert_eq!(left(Some("next"), at(5, 1_000)), 0, "nobody knows how old it is");
        assert_eq!(left(Some("next"), at(5, 11_000)), 2599);
        assert_eq!([left(Some("this"), at(100, 99_000)), left(None, at(5, 99_000))], [0, 0]);
    }

    #[test]
    fn a_token_whose_life_is_not_said_counts_as_short_lived() {
        assert_eq!(leased(&grant(None), &[], at(0, 0)).lifetime, UNSAID_LIFETIME);
    }

    #[test]
    fn a_token_id_does_not_tell_the_token() {
        let lease = leased(&grant(None), &[], at(0, 0));
        assert_eq!(lease.token_id.len(), 16);
        assert!(!lease.token_id.contains("token"));
    }
}
