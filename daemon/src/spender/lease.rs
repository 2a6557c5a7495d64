//! Leases as the issuer grants them, as the store keeps them, as the core holds them.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use sso_agent_core::{time::Now, words::Lease};

use crate::{issuer::Grant, store::StoredLease};

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

/// As the store keeps it: by the wall clock alone.
pub(crate) fn stored(lease: &Lease) -> StoredLease {
    StoredLease {
        access_token: lease.access_token.clone(),
        token_type: lease.token_type.clone(),
        scopes: lease.scopes.clone(),
        issued_at: lease.obtained.wall.as_secs(),
        expires_at: lease.expires.wall().as_secs(),
    }
}

/// As it is after a restart: what is left of it can only have become less.
pub(crate) fn restored(stored: &StoredLease, now: Now) -> Lease {
    let lifetime = Duration::from_secs(stored.expires_at.saturating_sub(stored.issued_at));
    let left = Duration::from_secs(stored.expires_at).saturating_sub(now.wall).min(lifetime);
    let age = lifetime.saturating_sub(left);
    Lease {
        access_token: stored.access_token.clone(),
        token_type: stored.token_type.clone(),
        token_id: token_id(&stored.access_token),
        scopes: stored.scopes.clone(),
        obtained: Now { steady: now.steady.saturating_sub(age), wall: Duration::from_secs(stored.issued_at) },
        lifetime,
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
        let back = restored(&stored(&lease), at(5, 11_000));
        assert_eq!(back.expires.left(at(5, 11_000)), Duration::from_secs(2599));
        assert_eq!(back.token_id, lease.token_id);
        assert_eq!(back.scopes, ["a"]);
    }

    #[test]
    fn a_wall_clock_that_was_set_back_gives_no_token_a_longer_life() {
        let kept = stored(&leased(&grant(Some(3600)), &[], at(100, 10_000)));
        assert_eq!(restored(&kept, at(5, 1_000)).expires.left(at(5, 1_000)), Duration::from_secs(3599));
        assert!(restored(&kept, at(5, 99_000)).expires.is_over(at(5, 99_000)));
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
