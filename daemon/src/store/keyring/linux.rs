//! The Secret Service on D-Bus: GNOME Keyring, KWallet, KeePassXC. Nothing is asked of a collection that is
//! locked or not there, so that no window comes up.

use std::{collections::HashMap, path::Path};

use secret_service::{Collection, EncryptionType, Error, SecretService};
use zeroize::Zeroizing;

use super::{DEADLINE, KeyringError, unavailable};
use crate::store::seal::{self, KeyBytes};

const LABEL: &str = "sso-agent: the key of the stored sessions";
const ATTRIBUTES: [(&str, &str); 2] = [("service", "sso-agent"), ("purpose", "store-key")];

/// The key of this user, whatever the state folder.
pub(super) fn read_or_create(_: &Path) -> Result<KeyBytes, KeyringError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unavailable)?;
    // So that nothing is left hanging on a bus that does not answer.
    let asked = runtime.block_on(async { tokio::time::timeout(DEADLINE, ask()).await });
    runtime.shutdown_background();
    asked.unwrap_or_else(|_| Err(KeyringError("the session bus does not answer".to_owned())))
}

async fn ask() -> Result<KeyBytes, KeyringError> {
    let service = SecretService::connect(EncryptionType::Dh).await.map_err(unavailable)?;
    let collection = match service.get_default_collection().await {
        Err(Error::NoResult) => return Err(KeyringError("it was never set up".to_owned())),
        found => found.map_err(unavailable)?,
    };
    if collection.is_locked().await.map_err(unavailable)? {
        return Err(KeyringError("it is locked".to_owned()));
    }
    if let Some(key) = find(&collection).await? {
        return Ok(key);
    }
    create(&collection).await?;
    // What it gives back is what the next start will get, also if somebody else made one just now.
    find(&collection).await?.ok_or_else(|| KeyringError("it does not keep what it is given".to_owned()))
}

/// The oldest, should there be several: all who look agree on it.
async fn find(collection: &Collection<'_>) -> Result<Option<KeyBytes>, KeyringError> {
    let items = collection.search_items(HashMap::from(ATTRIBUTES)).await.map_err(unavailable)?;
    let mut by_age = Vec::with_capacity(items.len());
    for item in items {
        by_age.push((item.get_created().await.map_err(unavailable)?, item.item_path.to_string(), item));
    }
    by_age.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (_, _, item) in by_age {
        let secret = Zeroizing::new(item.get_secret().await.map_err(unavailable)?);
        if let Some(key) = std::str::from_utf8(&secret).ok().and_then(seal::unhex) {
            return Ok(Some(key));
        }
        tracing::warn!("an item in the keyring is marked as our key, but is none");
    }
    Ok(None)
}

/// As text: not every keyring takes bytes.
async fn create(collection: &Collection<'_>) -> Result<(), KeyringError> {
    let key = Zeroizing::new(seal::hex(&*seal::random_key().map_err(unavailable)?));
    let replace = false;
    let attributes = HashMap::from(ATTRIBUTES);
    collection
        .create_item(LABEL, attributes, key.as_bytes(), replace, "text/plain")
        .await
        .map_err(unavailable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::store::keyring::{SystemKeyring, contract};

    #[test]
    #[ignore = "needs a session bus with an unlocked keyring"]
    fn the_keyring_keeps_the_key_that_it_made() {
        contract::keeps_the_key_that_it_made(|| SystemKeyring::of("/".as_ref()));
    }
}
