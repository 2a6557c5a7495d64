//! Spans of time as people say them.

use jiff::Timestamp;

const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// The time left until `at`, `None` when it is over.
pub(super) fn left(at: Timestamp, now: Timestamp) -> Option<String> {
    let seconds = u64::try_from(at.duration_since(now).as_secs()).ok().filter(|s| *s > 0)?;
    Some(span(seconds))
}

/// The two largest units: `1h 5m`.
fn span(seconds: u64) -> String {
    let largest = UNITS.iter().position(|(size, _)| seconds >= *size).unwrap_or(UNITS.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, name) in UNITS.iter().skip(largest).take(2) {
        if rest / size > 0 || parts.is_empty() {
            parts.push(format!("{}{name}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_enough() {
        let told = [0, 59, 60, 61, 3599, 3600, 3661, 90_000, 86_401].map(span);
        assert_eq!(told, ["0s", "59s", "1m", "1m 1s", "59m 59s", "1h", "1h 1m", "1d 1h", "1d"]);
    }

    #[test]
    fn what_is_over_has_nothing_left() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(left(now, now), None);
        assert_eq!(left("1970-01-01T00:00:42Z".parse().unwrap(), now).as_deref(), Some("42s"));
    }
}
