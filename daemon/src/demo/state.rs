//! What the issuer granted to whom, and what of it is still good. No I/O, and time is passed in.
//!
//! The hard part is reuse: a refresh token that is spent, and comes again, says that two parties hold
//! it. Nobody knows which of them is the thief, so all that came from that sign-in ends.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::mint::{self, Claims};

/// Long enough for a redirect, and no longer (RFC 6749, 4.1.2).
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// What every grant is given under.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) issuer: String,
    pub(super) user: String,
    pub(super) lifetime: Duration,
    pub(super) rotate: bool,
    pub(super) grace: Duration,
}

/// A code that a person agreed to.
pub(super) struct Authorized<'a> {
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) challenge: &'a str,
    pub(super) scope: &'a str,
}

/// A code that comes back.
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) verifier: Option<&'a str>,
}

/// A refresh token that comes back.
pub(super) struct Renewal<'a> {
    pub(super) refresh_token: &'a str,
    pub(super) client_id: &'a str,
    pub(super) scope: Option<&'a str>,
    /// Leave the refresh token as it is, even where each is for one use.
    pub(super) keep: bool,
}

/// What a client gets.
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
    pub(super) scope: String,
    pub(super) expires_in: Duration,
}

/// Why a client gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// `invalid_grant`.
    Grant(&'static str),
    /// `invalid_grant`, and all that came from the same sign-in has ended.
    Replay,
    /// `invalid_scope`.
    Scope,
}

/// Everything that was ever handed out; nothing is forgotten, so that a replay is told from a guess.
#[derive(Debug)]
pub(super) struct State {
    pub(super) terms: Terms,
    families: Vec<Family>,
    codes: HashMap<String, Code>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
}

/// All that came from one sign-in.
#[derive(Debug)]
struct Family {
    client_id: String,
    scope: String,
    alive: bool,
}

#[derive(Debug, Clone, Copy)]
struct FamilyId(usize);

#[derive(Debug)]
struct Code {
    family: FamilyId,
    redirect_uri: String,
    challenge: String,
    expires: Duration,
    used: bool,
}

#[derive(Debug)]
struct RefreshToken {
    family: FamilyId,
    spent: Option<Duration>,
}

#[derive(Debug)]
struct AccessToken {
    family: FamilyId,
    expires: Duration,
    revoked: bool,
}

impl State {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            families: Vec::new(),
            codes: HashMap::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
        }
    }

    /// Makes a code, good once and for a minute.
    pub(super) fn authorize(&mut self, authorized: &Authorized<'_>, now: Duration) -> String {
        let family = FamilyId(self.families.len());
        self.families.push(Family {
            client_id: authorized.client_id.to_owned(),
            scope: authorized.scope.to_owned(),
            alive: true,
        });
        let code = mint::code();
        self.codes.insert(
            code.clone(),
            Code {
                family,
                redirect_uri: authorized.redirect_uri.to_owned(),
                challenge: authorized.challenge.to_owned(),
                expires: now + CODE_LIFETIME,
                used: false,
            },
        );
        code
    }

    /// Turns a code into tokens. One that comes twice ends what it gave the first time (RFC 6749, 4.1.2).
    pub(super) fn redeem(&mut self, redemption: &Redemption<'_>, now: Duration) -> Result<Tokens, Denied> {
        let code = self.codes.get_mut(redemption.code).ok_or(Denied::Grant("The code is not known"))?;
        let family = code.family;
        if code.used {
            self.end(family);
            return Err(Denied::Replay);
        }
        if now >= code.expires {
            return Err(Denied::Grant("The code has expired"));
        }
        if redemption.redirect_uri != Some(code.redirect_uri.as_str()) {
            return Err(Denied::Grant("The redirect_uri is not that of the authorization request"));
        }
        if redemption.verifier.map(challenge_of).as_ref() != Some(&code.challenge) {
            return Err(Denied::Grant("The code_verifier does not match the code_challenge"));
        }
        let sign_in = self.families.get(family.0).expect("families are only ever added");
        if sign_in.client_id != redemption.client_id {
            return Err(Denied::Grant("The code was issued to another client"));
        }
        if !sign_in.alive {
            return Err(Denied::Grant("The code was revoked"));
        }
        code.used = true;
        let scope = sign_in.scope.clone();
        let refresh_token =
            scope.split(' ').any(|scope| scope == "offline_access").then(|| self.new_refresh_token(family));
        Ok(self.tokens(family, scope, refresh_token, now))
    }

    /// Turns a refresh token into tokens, and into its successor.
    pub(super) fn refresh(&mut self, renewal: &Renewal<'_>, now: Duration) -> Result<Tokens, Denied> {
        const DEAD: Denied = Denied::Grant("The refresh token is invalid, expired or revoked");
        let token = self.refresh_tokens.get_mut(renewal.refresh_token).ok_or(DEAD)?;
        let family = token.family;
        let sign_in = self.families.get(family.0).expect("families are only ever added");
        if sign_in.client_id != renewal.client_id {
            return Err(DEAD);
        }
        if token.spent.is_some_and(|spent| now >= spent + self.terms.grace) {
            self.end(family);
            return Err(Denied::Replay);
        }
        if !sign_in.alive {
            return Err(DEAD);
        }
        let scope = narrowed(&sign_in.scope, renewal.scope).ok_or(Denied::Scope)?;
        let refresh_token = if renewal.keep || !self.terms.rotate {
            renewal.refresh_token.to_owned()
        } else {
            token.spent.get_or_insert(now);
            self.new_refresh_token(family)
        };
        Ok(self.tokens(family, scope, Some(refresh_token), now))
    }

    /// Ends a token of `client_id` (RFC 7009, 2.1): a refresh token with all its kin, an access token
    /// alone. Says whether there was anything to end.
    pub(super) fn revoke(&mut self, token: &str, client_id: &str) -> bool {
        if let Some(refresh_token) = self.refresh_tokens.get(token) {
            let family = refresh_token.family;
            return self.is_of(family, client_id) && self.end(family);
        }
        let Some(access_token) = self.access_tokens.get(token) else { return false };
        let of_client = self.is_of(access_token.family, client_id);
        self.access_tokens
            .get_mut(token)
            .is_some_and(|token| of_client && !std::mem::replace(&mut token.revoked, true))
    }

    /// Ends every sign-in so far.
    pub(super) fn revoke_all(&mut self) {
        for family in &mut self.families {
            family.alive = false;
        }
    }

    /// Whether a workspace takes this token.
    pub(super) fn accepts(&self, access_token: &str, now: Duration) -> bool {
        self.access_tokens.get(access_token).is_some_and(|token| {
            !token.revoked
                && now < token.expires
                && self.families.get(token.family.0).is_some_and(|f| f.alive)
        })
    }

    /// All codes and refresh tokens so far, good or not.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &String> {
        self.codes.keys().chain(self.refresh_tokens.keys())
    }

    /// All access tokens so far, good or not.
    pub(super) fn access_tokens(&self) -> impl Iterator<Item = &String> {
        self.access_tokens.keys()
    }

    fn is_of(&self, family: FamilyId, client_id: &str) -> bool {
        self.families.get(family.0).is_some_and(|family| family.client_id == client_id)
    }

    fn end(&mut self, family: FamilyId) -> bool {
        self.families.get_mut(family.0).is_some_and(|family| std::mem::replace(&mut family.alive, false))
    }

    fn new_refresh_token(&mut self, family: FamilyId) -> String {
        let token = mint::refresh_token();
        self.refresh_tokens.insert(token.clone(), RefreshToken { family, spent: None });
        token
    }

    fn tokens(
        &mut self,
        family: FamilyId,
        scope: String,
        refresh_token: Option<String>,
        now: Duration,
    ) -> Tokens {
        let expires_in = self.terms.lifetime;
        let expires = now + expires_in;
        let claims = Claims {
            issuer: &self.terms.issuer,
            user: &self.terms.user,
            client_id: self.families.get(family.0).map_or("", |family| &family.client_id),
            scope: &scope,
            issued: now,
            expires,
        };
        let access_token = mint::access_token(&claims);
        let id_token = scope.split(' ').any(|scope| scope == "openid").then(|| mint::id_token(&claims));
        self.access_tokens.insert(access_token.clone(), AccessToken { family, expires, revoked: false });
        Tokens { access_token, refresh_token, id_token, scope, expires_in }
    }
}

/// What PKCE makes of a verifier (RFC 7636, 4.2, S256).
pub(super) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

/// The scope that was asked for, unless it goes beyond what was granted (RFC 6749, 6).
fn narrowed(granted: &str, asked: Option<&str>) -> Option<String> {
    let Some(asked) = asked else { return Some(granted.to_owned()) };
    let within = asked.split_whitespace().all(|one| granted.split(' ').any(|have| have == one));
    within.then(|| asked.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const START: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn pkce_is_as_the_rfc_has_it() {
        assert_eq!(challenge_of(VERIFIER), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_code_gives_tokens_once_and_the_second_time_ends_them() {
        let mut state = state(Duration::ZERO);
        let code = agree(&mut state);
        let tokens = redeem(&mut state, &code, VERIFIER, after(59)).ok().unwrap();
        assert!(state.accepts(&tokens.access_token, after(60)));
        assert_eq!(redeem(&mut state, &code, VERIFIER, after(59)).err(), Some(Denied::Replay));
        assert!(!state.accepts(&tokens.access_token, after(60)));
        assert!(matches!(renew(&mut state, &refresh_token(&tokens), after(61)), Err(Denied::Grant(_))));
    }

    #[test]
    fn a_code_needs_its_verifier_its_redirect_uri_its_client_and_its_minute() {
        let mut state = state(Duration::ZERO);
        let code = agree(&mut state);
        let right = || Redemption {
            code: &code,
            client_id: "me",
            redirect_uri: Some("http://l"),
            verifier: Some(VERIFIER),
        };
        let mut denied =
            |redemption: Redemption<'_>, now| matches!(state.redeem(&redemption, now), Err(Denied::Grant(_)));
        assert!(denied(Redemption { verifier: None, ..right() }, START));
        assert!(denied(Redemption { verifier: Some("guessed"), ..right() }, START));
        assert!(denied(Redemption { redirect_uri: None, ..right() }, START));
        assert!(denied(Redemption { redirect_uri: Some("http://m"), ..right() }, START));
        assert!(denied(Redemption { client_id: "you", ..right() }, START));
        assert!(denied(Redemption { code: "demo-code-guessed", ..right() }, START));
        assert!(denied(right(), after(60)));
        assert!(!denied(right(), after(59)));
    }

    #[test]
    fn a_refresh_token_is_good_once_and_its_reuse_ends_all_its_kin() {
        let mut state = state(Duration::ZERO);
        let first = sign_in(&mut state);
        let other = sign_in(&mut state);
        let second = renew(&mut state, &refresh_token(&first), after(10)).ok().unwrap();
        assert_ne!(first.refresh_token, second.refresh_token);
        assert!(
            state.accepts(&first.access_token, after(10)) && state.accepts(&second.access_token, after(10))
        );
        assert_eq!(renew(&mut state, &refresh_token(&first), after(10)).err(), Some(Denied::Replay));
        assert!(
            !state.accepts(&first.access_token, after(10)) && !state.accepts(&second.access_token, after(10))
        );
        assert!(matches!(renew(&mut state, &refresh_token(&second), after(10)), Err(Denied::Grant(_))));
        assert!(state.accepts(&other.access_token, after(10)));
    }

    #[test]
    fn within_the_grace_a_lost_answer_can_be_asked_for_again() {
        let mut state = state(Duration::from_secs(10));
        let first = sign_in(&mut state);
        let lost = renew(&mut state, &refresh_token(&first), after(0)).ok().unwrap();
        let again = renew(&mut state, &refresh_token(&first), after(9)).ok().unwrap();
        assert!(renew(&mut state, &refresh_token(&again), after(20)).is_ok());
        assert!(state.accepts(&lost.access_token, after(9)));
        assert_eq!(renew(&mut state, &refresh_token(&first), after(10)).err(), Some(Denied::Replay));
    }

    #[test]
    fn without_rotation_the_refresh_token_stays() {
        let mut state = state(Duration::ZERO);
        state.terms.rotate = false;
        let first = sign_in(&mut state);
        for _ in 0..3 {
            let next = renew(&mut state, &refresh_token(&first), after(1)).ok().unwrap();
            assert_eq!(next.refresh_token, first.refresh_token);
        }
    }

    #[test]
    fn an_access_token_ends_with_its_lifetime() {
        let mut state = state(Duration::ZERO);
        let tokens = sign_in(&mut state);
        assert!(state.accepts(&tokens.access_token, after(3599)));
        assert!(!state.accepts(&tokens.access_token, after(3600)));
        assert!(!state.accepts("made-up", START));
    }

    #[test]
    fn a_scope_can_be_narrowed_but_not_widened() {
        let mut state = state(Duration::ZERO);
        let tokens = sign_in(&mut state);
        let refresh_token = refresh_token(&tokens);
        let ask = |scope| Renewal { refresh_token: &refresh_token, client_id: "me", scope, keep: true };
        assert_eq!(state.refresh(&ask(Some("sql")), START).ok().unwrap().scope, "sql");
        assert_eq!(state.refresh(&ask(None), START).ok().unwrap().scope, "sql offline_access");
        assert_eq!(state.refresh(&ask(Some("sql all-apis")), START).err(), Some(Denied::Scope));
    }

    #[test]
    fn only_offline_access_gives_a_refresh_token_and_only_openid_an_id_token() {
        let mut state = state(Duration::ZERO);
        let mut given = |scope| {
            let code = state.authorize(&Authorized { scope, ..authorized() }, START);
            let tokens = redeem(&mut state, &code, VERIFIER, START).ok().unwrap();
            (tokens.refresh_token.is_some(), tokens.id_token.is_some())
        };
        assert_eq!(given("sql"), (false, false));
        assert_eq!(given("openid offline_access"), (true, true));
    }

    #[test]
    fn revoking_a_refresh_token_ends_its_kin_and_an_access_token_itself_alone() {
        let mut state = state(Duration::ZERO);
        let first = sign_in(&mut state);
        let second = renew(&mut state, &refresh_token(&first), START).ok().unwrap();
        assert!(!state.revoke(&first.access_token, "you") && state.accepts(&first.access_token, START));
        assert!(state.revoke(&first.access_token, "me") && !state.accepts(&first.access_token, START));
        assert!(state.accepts(&second.access_token, START));
        assert!(state.revoke(&refresh_token(&second), "me") && !state.accepts(&second.access_token, START));
        assert!(!state.revoke(&refresh_token(&second), "me") && !state.revoke("made-up", "me"));
    }

    fn state(grace: Duration) -> State {
        State::new(Terms {
            issuer: "http://i".into(),
            user: "ada@example.com".into(),
            lifetime: Duration::from_secs(3600),
            rotate: true,
            grace,
        })
    }

    fn authorized() -> Authorized<'static> {
        Authorized {
            client_id: "me",
            redirect_uri: "http://l",
            challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            scope: "sql offline_access",
        }
    }

    fn agree(state: &mut State) -> String {
        state.authorize(&authorized(), START)
    }

    fn redeem(state: &mut State, code: &str, verifier: &str, now: Duration) -> Result<Tokens, Denied> {
        let redirect_uri = Some("http://l");
        state.redeem(&Redemption { code, client_id: "me", redirect_uri, verifier: Some(verifier) }, now)
    }

    fn sign_in(state: &mut State) -> Tokens {
        let code = agree(state);
        redeem(state, &code, VERIFIER, START).ok().unwrap()
    }

    fn renew(state: &mut State, refresh_token: &str, now: Duration) -> Result<Tokens, Denied> {
        state.refresh(&Renewal { refresh_token, client_id: "me", scope: None, keep: false }, now)
    }

    fn refresh_token(tokens: &Tokens) -> String {
        tokens.refresh_token.clone().unwrap()
    }

    fn after(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }
}
