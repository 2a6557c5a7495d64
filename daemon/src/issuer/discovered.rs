//! What discovery found, kept in memory, so that nobody waits for it twice.
//!
//! An answer is good for an hour and then asked for again; if the host cannot answer by then, what it
//! said before counts for up to a day. That it has no sign-in is believed for a minute. Whoever
//! comes while a host is being asked waits for that answer, and takes it, whatever it is.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sso_agent_core::time::{Deadline, Now};

use super::{
    discover::{By, DiscoverError, Found, PATIENCE, Sought, look},
    http::Http,
};

const FRESH: Duration = Duration::from_secs(60 * 60);
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
const MISSED: Duration = Duration::from_secs(60);

/// More hosts than anybody signs in to.
const MOST: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Discoveries {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// How often the host was asked.
    asked: AtomicU64,
    /// Held while it is.
    kept: tokio::sync::Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    found: Option<Keep>,
    /// What came of asking last, if that was no answer, and for how long it is believed.
    failed: Option<(DiscoverError, Option<Deadline>)>,
}

#[derive(Debug)]
struct Keep {
    found: Arc<Found>,
    fresh: Deadline,
    usable: Deadline,
}

impl Discoveries {
    /// What is sought, from memory while it is fresh, from the host otherwise.
    pub(crate) async fn find(
        &self,
        http: &Http,
        sought: &Sought<'_>,
        now: Now,
    ) -> Result<Arc<Found>, DiscoverError> {
        let slot = self.slot(sought);
        let before = slot.asked.load(Ordering::Acquire);
        let mut kept = slot.kept.lock().await;
        let joined = slot.asked.load(Ordering::Acquire) != before;
        if let Some(answer) = kept.answer(now, joined) {
            return answer;
        }
        let looked = look(http, sought, PATIENCE).await;
        slot.asked.fetch_add(1, Ordering::AcqRel);
        kept.learn(looked, now)
    }

    /// Nothing is known any more: what the person set up may have changed.
    pub(crate) fn forget(&self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn slot(&self, sought: &Sought<'_>) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MOST {
            slots.clear();
        }
        slots.entry(key(sought)).or_default().clone()
    }
}

/// All that the answer depends on.
fn key(sought: &Sought<'_>) -> String {
    let Sought { host, account_id, document, provider, via } = sought;
    let provider = provider.map(|provider| provider.name.as_str());
    format!("{} {account_id:?} {document:?} {provider:?} {via:?}", host.id())
}

impl Kept {
    /// What can be said without asking; whoever `joined` the asking takes what came of it.
    fn answer(&self, now: Now, joined: bool) -> Option<Result<Arc<Found>, DiscoverError>> {
        if let Some(keep) = self.found.as_ref().filter(|keep| !keep.fresh.is_over(now)) {
            return Some(Ok(keep.found.clone()));
        }
        let (error, until) = self.failed.as_ref()?;
        let believed = joined || until.is_some_and(|until| !until.is_over(now));
        believed.then(|| Err(error.clone()))
    }

    /// Takes in what came of asking.
    fn learn(&mut self, looked: Result<Found, DiscoverError>, now: Now) -> Result<Arc<Found>, DiscoverError> {
        let old = self.found.take().filter(|old| !old.usable.is_over(now));
        self.failed = None;
        match (looked, old) {
            // A guess is no news of a host that has said where its server is.
            (Ok(found), Some(old)) if found.by == By::Shape && old.found.by != By::Shape => {
                Ok(self.stay(old, now))
            }
            (Err(DiscoverError::Unreachable { cause, .. }), Some(old)) => {
                tracing::warn!(cause, "a host cannot say where its sign-in is; what it said before counts");
                Ok(self.stay(old, now))
            }
            (Ok(found), _) => {
                let found = Arc::new(found);
                let (fresh, usable) = (now.after(FRESH), now.after(USABLE));
                self.found = Some(Keep { found: found.clone(), fresh, usable });
                Ok(found)
            }
            (Err(error), _) => {
                let until = match error {
                    DiscoverError::NotOAuth { .. } => Some(now.after(MISSED)),
                    DiscoverError::Unreachable { .. } | DiscoverError::Refused(_) => None,
                };
                self.failed = Some((error.clone(), until));
                Err(error)
            }
        }
    }

    /// What is known counts a while longer, so that not everybody waits for a host that is down.
    fn stay(&mut self, old: Keep, now: Now) -> Arc<Found> {
        let found = old.found.clone();
        self.found = Some(Keep { fresh: now.after(MISSED), ..old });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::testing::{Fake, json, reply};
    use sso_agent_core::host::Host;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    const DOCUMENT: &str = r#"{"authorization_endpoint":"ROOT/a","token_endpoint":"ROOT/t"}"#;

    fn at(seconds: u64) -> Now {
        Now { steady: Duration::from_secs(seconds), wall: Duration::from_secs(1_000_000 + seconds) }
    }

    fn is_config(request: &str) -> bool {
        request.contains("databricks-config")
    }

    fn document(request: &str) -> String {
        let root = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        json(200, &DOCUMENT.replace("ROOT", &format!("http://{root}")))
    }

    /// A workspace that answers while `well`, and says nothing useful otherwise.
    async fn workspace(well: &Arc<AtomicBool>, otherwise: u16) -> Fake {
        let well = well.clone();
        Fake::new(move |request| match well.load(Ordering::SeqCst) {
            true if !is_config(request) => document(request),
            true => reply(404, "", ""),
            false => reply(otherwise, "", ""),
        })
        .await
    }

    struct Asker {
        discoveries: Discoveries,
        http: Http,
        host: Host,
    }

    impl Asker {
        fn of(fake: &Fake) -> Self {
            let host = Host::parse(&fake.url(""), None).unwrap();
            Self { discoveries: Discoveries::default(), http: Http::new(), host }
        }

        async fn find(&self, seconds: u64) -> Result<Arc<Found>, DiscoverError> {
            self.discoveries.find(&self.http, &Sought::at(&self.host), at(seconds)).await
        }
    }

    fn times(fake: &Fake) -> usize {
        fake.heard().iter().filter(|request| is_config(request)).count()
    }

    #[tokio::test]
    async fn an_answer_is_good_for_an_hour() {
        let well = Arc::new(AtomicBool::new(true));
        let fake = workspace(&well, 500).await;
        let asker = Asker::of(&fake);
        for seconds in [0, 1, 3599] {
            asker.find(seconds).await.unwrap();
        }
        assert_eq!(times(&fake), 1);
        asker.find(3600).await.unwrap();
        assert_eq!(times(&fake), 2);
        asker.discoveries.forget();
        asker.find(3601).await.unwrap();
        assert_eq!(times(&fake), 3);
    }

    #[tokio::test]
    async fn what_a_host_said_counts_for_a_day_while_it_is_unwell() {
        let well = Arc::new(AtomicBool::new(true));
        let fake = workspace(&well, 500).await;
        let asker = Asker::of(&fake);
        let first = asker.find(0).await.unwrap();
        well.store(false, Ordering::SeqCst);
        assert_eq!(asker.find(4000).await, Ok(first.clone()));
        assert_eq!(asker.find(4059).await, Ok(first.clone()));
        assert_eq!(times(&fake), 2, "it is left alone for a minute");
        assert_eq!(asker.find(80_000).await, Ok(first));
        assert!(matches!(asker.find(86_400).await, Err(DiscoverError::Unreachable { .. })));
        well.store(true, Ordering::SeqCst);
        assert!(asker.find(86_401).await.is_ok(), "a failure is not kept");
    }

    #[tokio::test]
    async fn that_there_is_no_sign_in_is_believed_for_a_minute() {
        let well = Arc::new(AtomicBool::new(false));
        let fake = workspace(&well, 404).await;
        let asker = Asker::of(&fake);
        assert!(matches!(asker.find(0).await, Err(DiscoverError::NotOAuth { .. })));
        well.store(true, Ordering::SeqCst);
        assert!(matches!(asker.find(59).await, Err(DiscoverError::NotOAuth { .. })));
        assert_eq!(times(&fake), 1);
        assert!(asker.find(60).await.is_ok());
    }

    #[tokio::test]
    async fn a_host_that_drops_its_sign_in_is_believed() {
        let well = Arc::new(AtomicBool::new(true));
        let fake = workspace(&well, 404).await;
        let asker = Asker::of(&fake);
        asker.find(0).await.unwrap();
        well.store(false, Ordering::SeqCst);
        assert!(matches!(asker.find(3600).await, Err(DiscoverError::NotOAuth { .. })));
    }

    #[tokio::test]
    async fn many_who_ask_at_once_ask_the_host_once() {
        for status in [200, 404, 503] {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = asked.clone();
            let fake = Fake::new(move |request| {
                count.fetch_add(usize::from(is_config(request)), Ordering::SeqCst);
                if status == 200 { document(request) } else { reply(status, "", "") }
            })
            .await;
            let asker = Arc::new(Asker::of(&fake));
            let crowd: Vec<_> = (0..20)
                .map(|_| {
                    let asker = asker.clone();
                    tokio::spawn(async move { asker.find(0).await.is_ok() })
                })
                .collect();
            for one in crowd {
                assert_eq!(one.await.unwrap(), status == 200);
            }
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
        }
    }

    #[tokio::test]
    async fn one_who_hangs_up_does_not_stop_the_others() {
        let fake =
            Fake::new(|request| if is_config(request) { reply(404, "", "") } else { document(request) })
                .await;
        let asker = Asker::of(&fake);
        let mut first = Box::pin(asker.find(0));
        assert!(futures_poll(&mut first).await.is_none(), "it has asked and waits");
        drop(first);
        assert!(asker.find(0).await.is_ok());
    }

    #[tokio::test]
    async fn a_document_is_not_forgotten_for_a_guess() {
        let well = Arc::new(AtomicBool::new(true));
        let fake = workspace(&well, 500).await;
        let host = Host::parse(&fake.url(""), Some("acc-1")).unwrap();
        let asker = Asker { host, ..Asker::of(&fake) };
        let first = asker.find(0).await.unwrap();
        assert!(matches!(first.by, By::Document(_)));
        well.store(false, Ordering::SeqCst);
        assert_eq!(asker.find(3600).await, Ok(first));
        let guess = asker.find(90_000).await.unwrap();
        assert_eq!(guess.by, By::Shape);
    }

    #[tokio::test]
    async fn each_account_document_and_way_is_found_by_itself() {
        let host = Host::parse("adb-1.7.azuredatabricks.net", None).unwrap();
        let unified = Host::parse("acme.databricks.com", Some("a")).unwrap();
        let other = Host::parse("acme.databricks.com", Some("b")).unwrap();
        let sought = Sought::at(&host);
        let all = [
            sought,
            Sought { account_id: Some("a"), ..sought },
            Sought { document: Some("a"), ..sought },
            Sought { via: crate::issuer::discover::Via::Entra, ..sought },
            Sought { provider: crate::issuer::providers::named("okta"), ..sought },
            Sought::at(&unified),
            Sought::at(&other),
        ];
        let keys: std::collections::BTreeSet<_> = all.iter().map(key).collect();
        assert_eq!(keys.len(), all.len());
    }

    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
