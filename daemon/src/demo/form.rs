//! Parameters as OAuth sends them, in a query or in a form.

/// Decoded parameters.
pub(super) struct Form(Vec<(String, String)>);

/// A parameter that came more than once (RFC 6749, 3.1 and 3.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated(pub(super) &'static str);

impl Form {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value of `name`; none when it is missing or empty.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Repeated(name)),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_counts_when_it_comes_once_and_is_not_empty() {
        let form = Form::parse(b"a=1+2&b=&c=x&c=y");
        assert_eq!(form.one("a"), Ok(Some("1 2")));
        assert_eq!(form.one("b"), Ok(None));
        assert_eq!(form.one("c"), Err(Repeated("c")));
        assert_eq!(form.one("d"), Ok(None));
    }
}
