//! How a store moves to another key; see `sealed_file/rekey.rs`.

use std::{fs, path::Path, sync::Arc};

use secrecy::SecretString;
use sso_agent_os::private;

use super::{Found, Keys, SealingKey, Source, StoreError, chosen, credential, file, no_key, passphrase};

impl Keys {
    /// Makes the key there the current one, durably. The one before stays where it is.
    pub(in crate::store) fn switch(
        &self,
        to: Source,
        passphrase: Option<&SecretString>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Found(found) => found.switch(to, passphrase),
            Self::Given(_) => Err(no_key("keys are moved by the agent".to_owned())),
        }
    }

    /// Removes the files of keys that are not the current one, unless `needed` says that something is still
    /// sealed with it. What they sealed can be opened for as long as this process lives.
    pub(in crate::store) fn retire(&self, needed: impl Fn(&SealingKey) -> bool) -> Result<(), StoreError> {
        match self {
            Self::Found(found) => found.retire(needed),
            Self::Given(_) => Ok(()),
        }
    }
}

impl Found {
    fn switch(&self, to: Source, passphrase: Option<&SecretString>) -> Result<(), StoreError> {
        match to {
            Source::File
                if self.ring().damaged.is_some() && self.dir.join(file::NAME).symlink_metadata().is_ok() =>
            {
                return Err(no_key("the key file there cannot be read: move it away first".to_owned()));
            }
            Source::File => drop(self.in_file_or_new()?),
            Source::Keyring => {
                let unavailable = |error| no_key(format!("the keyring cannot be used: {error}"));
                drop(self.in_keyring().map_err(unavailable)?);
            }
            Source::Credential if self.ring().credential.is_none() => {
                return Err(no_key(format!(
                    "this agent was given no systemd credential {}",
                    credential::NAME
                )));
            }
            Source::Credential => {}
            Source::Passphrase => {
                let Some(passphrase) = passphrase else {
                    return Err(no_key("there is no passphrase".to_owned()));
                };
                let key = self.ring().passphrase.clone();
                if key.is_none() && self.ring().wrapped {
                    return Err(no_key(
                        "the present passphrase has to open it first: `sso unlock`".to_owned(),
                    ));
                }
                let key = passphrase::wrap(&self.dir, key, passphrase)?;
                let mut ring = self.ring();
                (ring.passphrase, ring.wrapped) = (Some(key), true);
            }
        }
        chosen::write(&self.dir, to)?;
        let mut ring = self.ring();
        (ring.choice, ring.damaged) = (Some(to), None);
        Ok(())
    }

    fn retire(&self, needed: impl Fn(&SealingKey) -> bool) -> Result<(), StoreError> {
        let mut ring = self.ring();
        let choice = ring.choice;
        let may_go = |source, key: &Option<Arc<SealingKey>>| {
            choice != Some(source) && key.as_ref().is_some_and(|key| !needed(key))
        };
        if may_go(Source::File, &ring.file) {
            remove(&self.dir, file::NAME)?;
            let key = ring.file.take();
            ring.retired.extend(key);
        }
        if may_go(Source::Passphrase, &ring.passphrase) {
            remove(&self.dir, passphrase::NAME)?;
            let key = ring.passphrase.take();
            ring.retired.extend(key);
            ring.wrapped = false;
        }
        Ok(())
    }
}

fn remove(dir: &Path, name: &str) -> Result<(), StoreError> {
    let path = dir.join(name);
    fs::remove_file(&path).and_then(|()| private::sync_dir(dir)).map_err(|cause| StoreError::at(&path, cause))
}
