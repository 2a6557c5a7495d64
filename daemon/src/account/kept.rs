//! The clients of apps that the agent keeps: one sealed file for each, named after its app.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sso_agent_core::host::Host;
use sso_agent_proto::{
    app::{AppUpdate, KeptApp},
    secret,
};
use zeroize::Zeroizing;

use crate::store::{self, Store, StoreError};

const ENDING: &str = ".app";

/// As what they are sealed.
const SEALED_AS: &str = "app";

/// A file of another version is left alone.
const VERSION: u32 = 1;

/// Room for one of them, so that its secret is not left behind while a buffer grows.
const ROOM: usize = 16 * 1024;

/// A client that somebody may sign in with by the name of its app.
#[derive(Debug, Clone)]
pub(crate) struct KeptClient {
    pub(crate) client_id: String,
    /// `None` for a public app.
    pub(crate) client_secret: Option<SecretString>,
    pub(crate) redirect_urls: Vec<String>,
    pub(crate) scopes: Vec<String>,
    /// Where its account is.
    account: Option<Host>,
}

impl KeptClient {
    /// Whether it may show its secret there: at its account, and where only Databricks can be in the cloud of
    /// that; on this machine if its account is a stand-in here. Whoever asks names the host, and must not have
    /// the secret sent anywhere else.
    pub(crate) fn is_for(&self, host: &Host) -> bool {
        self.account.as_ref().is_some_and(|account| {
            let of_its_cloud =
                host.is_databricks() && account.is_databricks() && host.cloud() == account.cloud();
            let stand_ins = host.is_loopback() && account.is_loopback();
            of_its_cloud || stand_ins || host.url() == account.url()
        })
    }
}

/// One of them, whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    version: u32,
    pub(super) app: KeptApp,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::on_wire_option")]
    client_secret: Option<SecretString>,
}

impl Entry {
    pub(super) fn new(app: KeptApp, client_secret: Option<SecretString>) -> Self {
        Self { version: VERSION, app, client_secret }
    }
}

/// See the module.
pub(super) struct Kept {
    store: Arc<dyn Store>,
    /// Absent when nothing is kept on disk.
    folder: Option<PathBuf>,
    entries: Mutex<BTreeMap<String, Entry>>,
    /// Held by whoever changes what there is, until it is on disk.
    writing: Mutex<()>,
}

impl Kept {
    /// Nothing yet.
    pub(super) fn new(store: Arc<dyn Store>, folder: Option<PathBuf>) -> Self {
        Self { store, folder, entries: Mutex::default(), writing: Mutex::default() }
    }

    /// Reads what is on disk, and tells what of it cannot be read.
    pub(super) fn read(&self) -> Vec<String> {
        if let Some(folder) = &self.folder {
            // What cannot be swept now is in nobody's way.
            let _ = store::sweep(folder);
        }
        let mut unreadable = Vec::new();
        for path in self.folder.as_deref().map(|folder| files(folder, ENDING)).unwrap_or_default() {
            match self.open(&path) {
                Ok(entry) => {
                    self.entries().insert(entry.app.name.clone(), entry);
                }
                Err(why) => unreadable.push(format!("{}: {why}", path.display())),
            }
        }
        unreadable
    }

    fn open(&self, path: &Path) -> Result<Entry, String> {
        let sealed = store::read_private(path).map_err(|error| error.to_string())?.unwrap_or_default();
        let content =
            self.store.unseal(SEALED_AS, &sealed).ok_or("it was sealed with another key, or changed")?;
        // An error of serde_json may quote what it read.
        let entry: Entry = serde_json::from_slice(&content).map_err(|_| "it is of another version")?;
        if entry.version != VERSION {
            return Err("it is of another version".to_owned());
        }
        if path.file_name() != Some(file_name(&entry.app.name).as_ref()) {
            return Err(format!("it says that it is {:.80?}", entry.app.name));
        }
        Ok(entry)
    }

    /// In the order of their names.
    pub(super) fn list(&self) -> Vec<KeptApp> {
        self.entries().values().map(|entry| entry.app.clone()).collect()
    }

    pub(super) fn client(&self, name: &str) -> Option<KeptClient> {
        let entries = self.entries();
        let Entry { app, client_secret, .. } = entries.get(name)?;
        Some(KeptClient {
            client_id: app.client_id.clone(),
            client_secret: client_secret.clone(),
            redirect_urls: app.redirect_urls.clone(),
            scopes: app.scopes.clone(),
            account: Host::parse(&app.host, Some(&app.account_id)).ok(),
        })
    }

    /// Which integration is kept under a name.
    pub(super) fn integration(&self, name: &str) -> Option<String> {
        self.entries().get(name).map(|entry| entry.app.integration_id.clone())
    }

    /// Makes sure that there is room for the client of a new app, before there is such a client.
    pub(super) fn reserve(&self, name: &str) -> Result<Room, StoreError> {
        if self.entries().contains_key(name) {
            return Ok(Room::Taken);
        }
        let Some(folder) = &self.folder else { return Ok(Room::Free) };
        store::private_dir(folder)?;
        let path = folder.join(file_name(name));
        match path.symlink_metadata() {
            Ok(_) => Ok(Room::Unreadable(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Room::Free),
            Err(cause) => Err(StoreError::Unusable { path, cause }),
        }
    }

    /// Keeps one in the place of what had its name; it is durable when this returns.
    pub(super) fn put(&self, entry: Entry) -> Result<(), StoreError> {
        let _writing = lock(&self.writing);
        self.write(entry)
    }

    fn write(&self, entry: Entry) -> Result<(), StoreError> {
        let mut content = Zeroizing::new(Vec::with_capacity(ROOM));
        serde_json::to_writer(&mut *content, &entry).map_err(|_| StoreError::Broken)?;
        let sealed = self.store.seal(SEALED_AS, content)?;
        if let Some(folder) = &self.folder {
            store::private_dir(folder)?;
            let path = folder.join(file_name(&entry.app.name));
            store::write_private(&path, &sealed).map_err(|cause| StoreError::Unusable { path, cause })?;
        }
        self.entries().insert(entry.app.name.clone(), entry);
        Ok(())
    }

    /// Seals all of them anew, with the key that is the current one now; says how many.
    pub(super) fn reseal(&self) -> Result<usize, StoreError> {
        let _writing = lock(&self.writing);
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        let count = entries.len();
        entries.into_iter().try_for_each(|entry| self.write(entry))?;
        Ok(count)
    }

    /// Takes over what was changed of an app, if it is kept.
    pub(super) fn change(&self, account_id: &str, update: &AppUpdate) -> Result<(), StoreError> {
        let _writing = lock(&self.writing);
        let Some(mut entry) = self.of(account_id, &update.integration_id) else { return Ok(()) };
        if let Some(urls) = &update.redirect_urls {
            entry.app.redirect_urls.clone_from(urls);
        }
        if let Some(scopes) = &update.scopes {
            entry.app.scopes.clone_from(scopes);
        }
        self.write(entry)
    }

    /// Forgets an app that was deleted, if it is kept.
    pub(super) fn deleted(&self, account_id: &str, integration_id: &str) -> Result<(), StoreError> {
        match self.of(account_id, integration_id) {
            Some(entry) => self.remove(&entry.app.name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Forgets one, whether it can be read or not; says whether there was one.
    pub(super) fn remove(&self, name: &str) -> Result<bool, StoreError> {
        let _writing = lock(&self.writing);
        let on_disk = match self.folder.as_ref().map(|folder| folder.join(file_name(name))) {
            Some(path) => match fs::remove_file(&path) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(cause) => return Err(StoreError::Unusable { path, cause }),
            },
            None => false,
        };
        let in_memory = self.entries().remove(name).is_some();
        Ok(on_disk || in_memory)
    }

    /// Whether the client of this app is kept, under whatever name.
    pub(super) fn is_kept(&self, account_id: &str, integration_id: &str) -> bool {
        self.of(account_id, integration_id).is_some()
    }

    fn of(&self, account_id: &str, integration_id: &str) -> Option<Entry> {
        let same = |app: &KeptApp| app.account_id == account_id && app.integration_id == integration_id;
        self.entries().values().find(|entry| same(&entry.app)).cloned()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        lock(&self.entries)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a name is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// Another app's client is kept under it.
    Taken,
    /// So is something that cannot be read now, and may be later.
    Unreadable(PathBuf),
}

/// The files with this ending in a folder, which need not be there.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending));
    let mut found: Vec<PathBuf> = entries.filter(ours).collect();
    found.sort();
    found
}

fn file_name(name: &str) -> String {
    store::file_name(name, ENDING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    fn entry(name: &str, secret: Option<&str>) -> Entry {
        let app = KeptApp {
            name: name.into(),
            integration_id: format!("i-{name}"),
            client_id: "c".into(),
            confidential: secret.is_some(),
            redirect_urls: vec!["https://a.example/cb".into()],
            scopes: vec![],
            host: "https://accounts.cloud.databricks.com".into(),
            account_id: "acc".into(),
        };
        Entry::new(app, secret.map(Into::into))
    }

    fn in_folder() -> (tempfile::TempDir, Arc<Memory>, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let apps = folder.path().join("apps");
        (folder, Arc::default(), apps)
    }

    #[test]
    fn what_is_kept_is_there_after_a_restart_and_readable_to_nobody_else() {
        use secrecy::ExposeSecret as _;
        let (_folder, store, apps) = in_folder();
        let kept = Kept::new(store.clone(), Some(apps.clone()));
        kept.put(entry("b/../b", Some("CANARY"))).unwrap();
        kept.put(entry("a", None)).unwrap();

        let again = Kept::new(store, Some(apps.clone()));
        assert!(again.read().is_empty());
        assert_eq!(again.list().iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["a", "b/../b"]);
        let client = again.client("b/../b").unwrap();
        assert_eq!(client.client_secret.unwrap().expose_secret(), "CANARY");
        assert!(again.client("a").unwrap().client_secret.is_none());
        let files = files(&apps, ENDING);
        assert_eq!(files.len(), 2);
        for file in files {
            let content = fs::read(file).unwrap();
            assert!(!content.windows(6).any(|part| part == b"CANARY"));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_kept_and_in_nobodys_way() {
        let (_folder, store, apps) = in_folder();
        let kept = Kept::new(store, Some(apps.clone()));
        kept.put(entry("a", Some("s"))).unwrap();
        kept.put(entry("b", Some("s"))).unwrap();
        let path = apps.join(file_name("a"));
        fs::rename(&path, apps.join("other.app")).unwrap();
        fs::copy(apps.join("other.app"), &path).unwrap();

        let stranger = Kept::new(Arc::<Memory>::default(), Some(apps.clone()));
        assert_eq!(stranger.read().len(), 3, "another key");
        assert_eq!(stranger.reserve("a").unwrap(), Room::Unreadable(path));
        assert_eq!(stranger.reserve("c").unwrap(), Room::Free);
        assert!(stranger.remove("a").unwrap() && !stranger.remove("a").unwrap());

        let again = Kept::new(kept.store.clone(), Some(apps));
        let unreadable = again.read();
        assert!(
            unreadable.len() == 1 && unreadable[0].contains("it says that it is \"a\""),
            "{unreadable:?}"
        );
        assert_eq!(again.reserve("b").unwrap(), Room::Taken);
    }

    #[test]
    fn what_happens_to_an_app_happens_to_what_is_kept_of_it() {
        let kept = Kept::new(Arc::<Memory>::default(), None);
        kept.put(entry("a", Some("s"))).unwrap();
        let update = AppUpdate {
            integration_id: "i-a".into(),
            redirect_urls: Some(vec!["https://b.example/cb".into()]),
            ..AppUpdate::default()
        };
        kept.change("other account", &update).unwrap();
        assert_eq!(kept.list()[0].redirect_urls, ["https://a.example/cb"]);
        kept.change("acc", &update).unwrap();
        assert_eq!(kept.list()[0].redirect_urls, ["https://b.example/cb"]);
        assert!(kept.client("a").unwrap().client_secret.is_some());
        kept.deleted("acc", "i-b").unwrap();
        kept.deleted("acc", "i-a").unwrap();
        assert!(kept.list().is_empty());
    }

    #[test]
    fn a_secret_goes_to_its_account_and_to_workspaces_of_its_cloud_alone() {
        let is_for = |account: &str, host: &str| {
            let kept = Kept::new(Arc::<Memory>::default(), None);
            let mut entry = entry("a", Some("s"));
            entry.app.host = account.into();
            kept.put(entry).unwrap();
            kept.client("a").unwrap().is_for(&Host::parse(host, Some("acc")).unwrap())
        };
        let (aws, azure) = ("https://accounts.cloud.databricks.com", "https://accounts.azuredatabricks.net");
        assert!(is_for(aws, "dbc-1.cloud.databricks.com") && is_for(aws, aws));
        assert!(is_for(azure, "adb-1.2.azuredatabricks.net"));
        for elsewhere in ["adb-1.2.azuredatabricks.net", "https://evil.example", "http://127.0.0.1:8"] {
            assert!(!is_for(aws, elsewhere), "{elsewhere}");
        }
        assert!(is_for("http://127.0.0.1:7", "http://localhost:8"), "a stand-in");
        assert!(!is_for("http://127.0.0.1:7", "https://evil.example"));
    }

    #[test]
    fn nothing_secret_shows_in_an_entry() {
        assert!(!format!("{:?}", entry("a", Some("CANARY"))).contains("CANARY"));
    }
}
