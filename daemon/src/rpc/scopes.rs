//! What somebody wants of the scopes that a session has.

/// Granted to a session, never part of a token.
const OFFLINE: &str = "offline_access";

/// At Databricks, the scope that all others are part of.
const EVERYTHING: &str = "all-apis";

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// All there are: the session's own token will do.
    All,
    /// These, sorted, of more than these.
    Fewer(Vec<String>),
    /// One that was not granted: this.
    Missing(String),
}

/// Compares what is asked for with what was granted.
pub(crate) fn compare(asked: &[String], granted: &[String]) -> Wish {
    let (asked, granted) = (set(asked), set(granted));
    if asked.is_empty() || asked == granted {
        return Wish::All;
    }
    let has = |scope: &String| granted.contains(scope) || granted.iter().any(|granted| granted == EVERYTHING);
    match asked.iter().find(|scope| !has(scope)) {
        Some(missing) => Wish::Missing(missing.clone()),
        None => Wish::Fewer(asked),
    }
}

fn set(scopes: &[String]) -> Vec<String> {
    let words = scopes.iter().flat_map(|scope| scope.split_ascii_whitespace());
    let mut set: Vec<String> = words.filter(|scope| *scope != OFFLINE).map(str::to_owned).collect();
    set.sort_unstable();
    set.dedup();
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(asked: &[&str], granted: &[&str]) -> Wish {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        compare(&owned(asked), &owned(granted))
    }

    #[test]
    fn the_same_scopes_in_any_order_are_all_of_them() {
        assert_eq!(wish(&["b", "a"], &["a", "b", "offline_access"]), Wish::All);
        assert_eq!(wish(&["b a"], &["a", "b"]), Wish::All);
        assert_eq!(wish(&["offline_access"], &["a"]), Wish::All);
    }

    #[test]
    fn fewer_are_fewer_and_one_too_many_is_missing() {
        assert_eq!(wish(&["b", "b"], &["a", "b"]), Wish::Fewer(vec!["b".into()]));
        assert_eq!(wish(&["c"], &["a", "b"]), Wish::Missing("c".into()));
        assert_eq!(wish(&["sql"], &["all-apis", "offline_access"]), Wish::Fewer(vec!["sql".into()]));
    }
}
