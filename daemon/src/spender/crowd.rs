//! Not too many at one issuer at once, and nobody in the queue for longer than it is worth.
//!
//! An issuer that hangs holds up its own sessions only. Whoever waits too long gives up before the
//! session does, so that nothing is sent for a renewal that has been written off.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

const AT_ONCE: usize = 16;

/// Together with an exchange (30 s and a little) less than
/// [`RENEWAL_GIVE_UP`](sso_agent_core::schedule::RENEWAL_GIVE_UP).
const PATIENCE: Duration = Duration::from_secs(8);

/// See the module.
#[derive(Default)]
pub(crate) struct Crowd {
    places: Mutex<HashMap<String, Arc<Semaphore>>>,
    closed: AtomicBool,
}

impl Crowd {
    /// Waits for a place at the issuer of `token_endpoint`; says why there is none.
    pub(crate) async fn place(&self, token_endpoint: &str) -> Result<OwnedSemaphorePermit, &'static str> {
        let places = self.at(token_endpoint);
        let place = tokio::time::timeout(PATIENCE, places.acquire_owned()).await;
        if self.closed.load(Ordering::Acquire) {
            return Err("the agent is stopping");
        }
        match place {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err("too many refreshes are under way at this issuer"),
        }
    }

    /// From now on there are no places.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.values().for_each(|places| places.close());
    }

    fn at(&self, endpoint: &str) -> Arc<Semaphore> {
        let origin = Url::parse(endpoint).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(origin).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_crowd_at_one_issuer_holds_up_nobody_at_another() {
        let crowd = Crowd::default();
        let mut held = Vec::new();
        for n in 0..AT_ONCE {
            held.push(crowd.place(&format!("https://slow.example/token?{n}")).await.unwrap());
        }
        assert!(crowd.place("https://other.example/token").await.is_ok());
        assert!(crowd.place("https://slow.example/token").await.is_err(), "nobody waits for ever");
        held.pop();
        assert!(crowd.place("https://slow.example/token").await.is_ok());
    }

    #[tokio::test]
    async fn when_the_agent_stops_nothing_begins() {
        let crowd = Crowd::default();
        let _held = crowd.place("https://a.example/token").await.unwrap();
        crowd.close();
        for endpoint in ["https://a.example/token", "https://b.example/token"] {
            assert!(crowd.place(endpoint).await.is_err());
        }
    }
}
