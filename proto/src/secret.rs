//! The only place where a secret becomes text: the names here are what a reviewer looks for.
//!
//! `SecretString` has no `Serialize` and no readable `Debug` and is wiped on drop. A field that must
//! cross the socket says so: `#[serde(with = "secret::on_wire")]`.

use secrecy::SecretString;

/// A secret as a plain JSON string, on the socket.
pub mod on_wire {
    use super::SecretString;
    use secrecy::ExposeSecret as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes the secret into a message that only the asking user reads.
    pub fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    /// Takes the secret out of a message; the text moves into the secret without a copy.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(SecretString::from)
    }
}

/// The same for a field that may be absent.
pub mod on_wire_option {
    use super::SecretString;
    use secrecy::ExposeSecret as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes the secret, or `null`.
    pub fn serialize<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
        match secret {
            Some(secret) => to.serialize_some(secret.expose_secret()),
            None => to.serialize_none(),
        }
    }

    /// Takes the secret out of a message, if it is there.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
    }
}
