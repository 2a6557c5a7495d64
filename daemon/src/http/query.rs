//! `token.get`'s params as they stand in a URL.

use sso_agent_proto::{
    rpc::{Code, RpcError},
    token::TokenGet,
};

/// Reads `host=…&scopes=a,b&min_valid_s=300`.
///
/// Scopes are apart by commas or blanks, or said one by one; a flag is set by `true`, `1` or by its name
/// alone. A parameter without a value is as good as none.
///
/// # Errors
/// What is not known, and what is no number, by its name; never by its value.
pub(crate) fn token_get(query: &str) -> Result<TokenGet, RpcError> {
    let mut wish = TokenGet::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let wrong = || wrong(&name);
        match &*name {
            "host" | "profile" | "session" | "label" | "account_id" | "refused" | "scopes" | "scope"
            | "min_valid_s" | "wait_s"
                if value.is_empty() => {}
            "host" => wish.host = Some(value.into_owned()),
            "profile" => wish.profile = Some(value.into_owned()),
            "session" => wish.session = Some(value.into_owned()),
            "label" => wish.label = Some(value.into_owned()),
            "account_id" => wish.account_id = Some(value.into_owned()),
            "refused" => wish.refused = Some(value.into_owned()),
            "scopes" | "scope" => wish.scopes.extend(words(&value)),
            "min_valid_s" => wish.min_valid_s = Some(value.parse().map_err(|_| wrong())?),
            "wait_s" => wish.wait_s = Some(value.parse().map_err(|_| wrong())?),
            "force_refresh" => wish.force_refresh = flag(&value).ok_or_else(wrong)?,
            _ => {
                let name: String = name.chars().take(64).collect();
                return Err(RpcError::new(Code::InvalidParams, format!("unknown parameter {name:?}")));
            }
        }
    }
    Ok(wish)
}

/// The value of a parameter that may be a list: apart by commas or blanks.
pub(crate) fn words(value: &str) -> impl Iterator<Item = String> {
    value.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn flag(value: &str) -> Option<bool> {
    match value {
        "" | "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn wrong(name: &str) -> RpcError {
    RpcError::new(Code::InvalidParams, format!("the parameter {name:.64?} has the wrong type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_token_may_be_asked_for_can_be_said() {
        let wish = token_get(
            "host=https%3A%2F%2Fh&label=work&scopes=a,b&scopes=c+d&min_valid_s=300&force_refresh&account_id=",
        );
        let wish = wish.unwrap();
        assert_eq!(wish.host.as_deref(), Some("https://h"));
        assert_eq!((wish.label.as_deref(), wish.account_id), (Some("work"), None));
        assert_eq!(wish.scopes, ["a", "b", "c", "d"]);
        assert_eq!((wish.min_valid_s, wish.force_refresh), (Some(300), true));
        assert!(!token_get("force_refresh=0").unwrap().force_refresh);
    }

    #[test]
    fn what_is_wrong_is_named_and_not_quoted() {
        for (query, name) in
            [("min_valid=5", "min_valid"), ("wait_s=CANARY", "wait_s"), ("force_refresh=CANARY", "force")]
        {
            let error = token_get(query).unwrap_err();
            assert!(error.code == -32602 && error.message.contains(name), "{error:?}");
            assert!(!error.message.contains("CANARY"), "{error:?}");
        }
    }
}
