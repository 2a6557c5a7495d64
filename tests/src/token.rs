//! What an access token says of itself: the provider's are JWTs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// When it ends, in seconds since 1970, by its own claim.
pub fn expiry(token: &str) -> Option<u64> {
    claims(token)?["exp"].as_u64()
}

/// Whose it is.
pub fn user(token: &str) -> Option<String> {
    Some(claims(token)?["sub"].as_str()?.to_owned())
}

fn claims(token: &str) -> Option<serde_json::Value> {
    serde_json::from_slice(&decode(token.split('.').nth(1)?)?).ok()
}

/// Whether it still is what a server would take.
pub fn is_alive(token: &str) -> bool {
    expiry(token).is_some_and(|end| now() < end)
}

/// For how many seconds it has been over, counting the one that has begun; 0 for one that is alive.
pub fn ended_for_s(token: &str) -> u64 {
    expiry(token).map_or(u64::MAX, |end| (now() + 1).saturating_sub(end))
}

/// Waits until the token has ended.
pub fn outlive(token: &str) {
    let end = expiry(token).expect("the token says when it ends");
    while now() <= end {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Waits until the token has been there for so long, by its own claim.
pub fn grow(token: &str, age: Duration) {
    let issued = claims(token).and_then(|claims| claims["iat"].as_u64()).expect("the token says since when");
    while now() <= issued + age.as_secs() {
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Base64url without padding (RFC 4648, 5).
fn decode(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}
