//! Sessions whose key was missing when the agent started, or that cannot be read; and the move to another
//! key.
//!
//! A locked keyring is asked again when somebody wants such a session, not more often than its pause
//! allows; a passphrase may come at any time. What can be read then is loaded without a restart. Until
//! then it is `locked`, not `login_required`: a sign-in would put another session beside it.

use std::sync::{Arc, PoisonError};

use sso_agent_core::{
    agent::{Answer, Target, Which},
    refusal::Refusal,
    words::{Label, SessionId},
};
use sso_agent_proto::{
    agent::{Rekey, Rekeyed},
    fault::{Fault, Kind},
    rpc::RpcError,
};
use tokio::sync::oneshot;

use super::service::{Service, stopped};
use crate::{
    account::Apps,
    handle::Message,
    store::{BadPassphrase, Loaded, Source, Store, StoreError, Trouble, Unreadable},
};

impl Service {
    /// Whether to ask again for a session that was not there: it is now. An error if it is on disk, and
    /// cannot be used.
    pub(super) async fn appears(&self, target: &Target, answer: &Answer) -> Result<bool, Fault> {
        let Answer::Refused(Refusal::LoginRequired { .. } | Refusal::Unknown { .. }) = answer else {
            return Ok(false);
        };
        let looked_for = target.clone();
        let missing = self.handle.look(move |agent, _| agent.find(&looked_for).is_err()).await;
        if missing != Some(true) {
            return Ok(false);
        }
        let Some(id) = id_of(target) else { return self.any_appears().await };
        let (store, name) = (self.about.store.clone(), id.to_string());
        let look = move || (store.trouble(&name), store.load(&name).is_ok_and(|record| record.is_some()));
        match tokio::task::spawn_blocking(look).await {
            Ok((None, true)) => self.load_late().await.map(|()| true),
            Ok((Some(unreadable), _)) => Err(in_trouble(&id, &unreadable)),
            Ok((None, false)) | Err(_) => Ok(false),
        }
    }

    /// The same where nothing is named.
    async fn any_appears(&self) -> Result<bool, Fault> {
        if !self.about.has_sealed() {
            return Ok(false);
        }
        self.load_late().await?;
        if self.about.has_sealed() {
            Err(sealed("sessions are on disk, but their key is missing"))
        } else {
            Ok(true)
        }
    }

    /// Loads what can be read by now.
    ///
    /// # Errors
    /// Only if the store cannot be read at all.
    pub(crate) async fn load_late(&self) -> Result<(), Fault> {
        let store = self.about.store.clone();
        let failed = |why: String| Fault::new(Kind::StoreFailed, why, "`sso agent logs` says more");
        let loaded = tokio::task::spawn_blocking(move || store.load_all()).await;
        let Loaded { records, unreadable } = match loaded {
            Ok(loaded) => loaded.map_err(|error| failed(error.to_string()))?,
            Err(_) => return Err(failed(StoreError::Broken.to_string())),
        };
        let mut all: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        let (done, restored) = oneshot::channel();
        self.handle.send(Message::Restore { records, done });
        all.extend(
            restored
                .await
                .map_err(|_| Fault::new(Kind::IssuerUnavailable, "the agent is stopping", "try again"))?,
        );
        all.extend(self.apps.read().await);
        *self.about.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = all;
        self.about.note_sealed(&unreadable);
        self.apps.spender().begin_anew();
        Ok(())
    }

    /// Opens the key of the stored sessions, which waits for its passphrase, and loads what it sealed.
    ///
    /// # Errors
    /// That is not it, or too many are trying.
    pub(super) async fn unlock_stored(&self, passphrase: secrecy::SecretString) -> Result<(), RpcError> {
        let store = self.about.store.clone();
        let mut unusable = None;
        let opens = async {
            match tokio::task::spawn_blocking(move || store.unlock(&passphrase)).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    unusable = Some(error.to_string()).filter(|_| error != BadPassphrase::Wrong);
                    false
                }
                Err(_) => false,
            }
        };
        let opened = self.padlock.paced(opens).await;
        if let Some(why) = unusable {
            let hint =
                "restore key.passphrase in the state folder from a backup; without it what it sealed is lost";
            return Err(Fault::new(Kind::Locked, why, hint).into());
        }
        opened.map_err(super::locking::refused)?;
        Ok(self.load_late().await?)
    }

    /// Moves everything that is stored to another key; goes on if whoever asked hangs up.
    pub(super) async fn rekey(&self, rekey: Rekey) -> Result<Rekeyed, RpcError> {
        let to = Source::of(rekey.to).ok_or_else(|| no_source("nothing can be sealed with that"))?;
        let waits = self.about.store.key() == sso_agent_proto::agent::Key::Passphrase
            && self.about.store.needs_passphrase();
        if waits || self.about.has_sealed() {
            // It would be left behind, and who moves it has not shown that it is theirs.
            return Err(sealed("what is stored cannot be opened, so it cannot be moved").into());
        }
        match self.config.known().settings.key {
            Some(said) if said != to => {
                let why = format!("config.toml says key = {:?}", said.name());
                return Err(
                    Fault::new(Kind::Unsupported, why, "change it there first, then ask again").into()
                );
            }
            Some(_) | None => {}
        }
        let (store, apps) = (self.about.store.clone(), self.apps.clone());
        let (done, told) = oneshot::channel();
        self.handle.send(Message::Job(Box::pin(async move {
            // A record that changed meanwhile would be written over, or be sealed with a key that is gone.
            let alone = match apps.spender().clone().hold().await {
                Ok(alone) => alone,
                Err(error) => return drop(done.send(Err(error))),
            };
            let moved = tokio::task::spawn_blocking(move || move_to(&*store, &apps, to, &rekey)).await;
            drop(alone);
            // Whoever asked may be gone by now, which is no fault.
            let _ = done.send(moved.unwrap_or(Err(StoreError::Broken)));
        })));
        let moved = told.await.map_err(|_| stopped())?;
        self.load_late().await?;
        moved.map_err(|error| {
            Fault::new(
                Kind::StoreFailed,
                error.to_string(),
                "nothing is lost: what was moved and what was not can both be read; mend it and ask again",
            )
            .into()
        })
    }
}

fn move_to(store: &dyn Store, apps: &Arc<Apps>, to: Source, rekey: &Rekey) -> Result<Rekeyed, StoreError> {
    store.switch_key(to, rekey.passphrase.as_ref())?;
    let resealed = store.reseal()?;
    let apps = apps.reseal()?;
    store.retire_keys()?;
    tracing::info!(
        to = to.name(),
        sessions = resealed.sessions,
        apps,
        left = resealed.left.len(),
        "moved to another key"
    );
    let left = resealed.left.iter().map(ToString::to_string).collect();
    Ok(Rekeyed { key: store.key(), sessions: resealed.sessions, apps, left })
}

fn no_source(why: &str) -> Fault {
    Fault::new(Kind::Unsupported, why, "keyring, file, credential or passphrase")
}

/// The session that a target names, if it is only one.
fn id_of(target: &Target) -> Option<SessionId> {
    match target {
        Target::Session(id) | Target::Web(id) => Some(id.clone()),
        Target::Host(
            host,
            Which::Labelled(label) | Which::OfProfile(label) | Which::OfMachine { label, .. },
        ) => Some(SessionId::of(host, label)),
        Target::Host(host, Which::Any { .. }) => Some(SessionId::of(host, &Label::default())),
        Target::Only => None,
    }
}

fn in_trouble(id: &SessionId, unreadable: &Unreadable) -> Fault {
    let why = format!("the session {id} is on disk, but {unreadable}");
    match unreadable.trouble {
        Trouble::Sealed => sealed(&why),
        Trouble::Newer => {
            Fault::new(Kind::StoreFailed, why, "update sso-agent; `sso logout` removes it instead")
        }
        Trouble::Foreign | Trouble::Damaged | Trouble::Refused => {
            Fault::new(Kind::LoginRequired, why, "sign in again: `sso login`; the file is kept beside it")
        }
    }
}

/// What whoever wants a session hears whose key is missing.
pub(crate) fn sealed(why: &str) -> Fault {
    let hint =
        "unlock the keyring, or `sso unlock` where it is a passphrase; `sso doctor` says where the key is";
    Fault::new(Kind::Locked, why, hint)
}
