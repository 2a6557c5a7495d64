//! The only place where a secret becomes text: the names here are what a reviewer looks for.
//!
//! `SecretString` has no `Serialize` and no readable `Debug` and is wiped on drop. A field that must
//! cross the socket says so: `#[serde(with = "secret::on_wire")]`.

use std::ops::{Deref, DerefMut};

use secrecy::SecretString;

/// A buffer that may hold secrets: overwritten before its memory goes back.
///
/// `zeroize` writes byte by byte, which would cost more than all else that is done for a request. This
/// one overwrites at once, and shows the result to [`std::hint::black_box`] so that it is not left out.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Overwrites what is behind `length`, and forgets it.
    pub fn cut(&mut self, length: usize) {
        let length = length.min(self.0.len());
        self.0[length..].fill(0);
        std::hint::black_box(&self.0);
        self.0.truncate(length);
    }
}

impl From<Vec<u8>> for Wiped {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.clear();
        self.0.resize(self.0.capacity(), 0);
        std::hint::black_box(&self.0);
    }
}

impl std::fmt::Debug for Wiped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wiped({} bytes)", self.0.len())
    }
}

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

/// The same for a field whose absence means something else than `null`: that is an empty secret, which is
/// good for nothing.
pub mod on_wire_or_empty {
    use super::SecretString;
    use serde::{Deserialize as _, Deserializer};

    pub use super::on_wire_option::serialize;

    /// Takes the secret out of a message, since it is there.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
        Ok(Some(Option::<String>::deserialize(from)?.unwrap_or_default().into()))
    }
}

/// The same for several by name.
pub mod on_wire_map {
    use std::collections::BTreeMap;

    use super::SecretString;
    use secrecy::ExposeSecret as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes the secrets.
    pub fn serialize<S: Serializer>(
        secrets: &BTreeMap<String, SecretString>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(secrets.iter().map(|(name, secret)| (name, secret.expose_secret())))
    }

    /// Takes the secrets out of a message.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, SecretString>, D::Error> {
        let read = BTreeMap::<String, String>::deserialize(from)?;
        Ok(read.into_iter().map(|(name, text)| (name, text.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_overwritten() {
        let mut buffer = Wiped::from(b"open secret".to_vec());
        buffer.cut(5);
        assert_eq!(buffer.as_slice(), b"open ");
        let place = buffer.capacity().min(11);
        buffer.resize(place, b'?');
        assert!(!String::from_utf8_lossy(&buffer).contains("secret"));
        assert_eq!(format!("{buffer:?}"), format!("Wiped({place} bytes)"));
    }
}
