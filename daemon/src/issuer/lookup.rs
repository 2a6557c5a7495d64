//! Looks names up, in threads that nobody else needs.
//!
//! The system's look-up blocks, for half a minute where a name server is silent, and cannot be called off. In
//! the threads that the store shares, some dozens of them would keep tokens from being written down. So
//! each has a thread of its own, whoever asks for a name that is being looked up waits for the same answer,
//! and there is an end to how many there are.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
    vec,
};

use hyper_util::client::legacy::connect::dns::Name;
use sso_agent_core::time::Deadline;
use tokio::sync::watch;
use tower_service::Service;

use crate::clock;

/// So many look-ups may be stuck before one more is refused; below the unit's `TasksMax=`.
const MOST: usize = 160;

/// So many of them for one name.
const MOST_FOR_ONE: usize = 2;

/// Whoever comes later does not trust a look-up that began before: the network may be another one by now.
const TRUSTED: Duration = Duration::from_secs(3);

/// For one look-up, whatever the request has.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;
type Resolve = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// See the module.
#[derive(Clone)]
pub(super) struct Lookup {
    under_way: Arc<Mutex<HashMap<String, UnderWay>>>,
    resolve: Arc<Resolve>,
}

struct UnderWay {
    answer: watch::Receiver<Option<Answer>>,
    trusted: Deadline,
    threads: usize,
}

impl Default for Lookup {
    fn default() -> Self {
        Self::by(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookup")
    }
}

impl Lookup {
    /// One that asks `resolve`, which may block.
    fn by(resolve: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { under_way: Arc::default(), resolve: Arc::new(resolve) }
    }

    /// The look-up of `name` that is under way, or one that begins now.
    fn begin(&self, name: &str) -> io::Result<watch::Receiver<Option<Answer>>> {
        let now = clock::now();
        let mut all = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = all.get(name).map_or(0, |one| one.threads);
        if let Some(one) = all.get(name)
            && (threads >= MOST_FOR_ONE || !one.trusted.is_over(now))
        {
            return Ok(one.answer.clone());
        }
        if all.values().map(|one| one.threads).sum::<usize>() >= MOST {
            return Err(io::Error::other("too many names are being looked up: is the name server there?"));
        }
        let (told, answer) = watch::channel(None);
        self.in_a_thread(name.to_owned(), told)?;
        let one = UnderWay { answer: answer.clone(), trusted: now.after(TRUSTED), threads: threads + 1 };
        all.insert(name.to_owned(), one);
        Ok(answer)
    }

    fn in_a_thread(&self, name: String, told: watch::Sender<Option<Answer>>) -> io::Result<()> {
        let Self { under_way, resolve } = self.clone();
        let look = move || {
            let found = resolve(&name).map_err(|error| (error.kind(), error.to_string()));
            let mut all = under_way.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(one) = all.get_mut(&name) {
                one.threads -= 1;
                if one.threads == 0 {
                    all.remove(&name);
                }
            }
            // Whoever waited may be gone.
            let _ = told.send(Some(found));
        };
        std::thread::Builder::new().name("lookup".to_owned()).spawn(look).map(drop)
    }
}

impl Service<Name> for Lookup {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let begun = self.begin(name.as_str());
        Box::pin(async move {
            let mut answer = begun?;
            let found = tokio::time::timeout(PATIENCE, answer.wait_for(Option::is_some)).await;
            match found.map(|found| found.map(|found| found.clone())) {
                Ok(Ok(Some(Ok(addresses)))) if !addresses.is_empty() => Ok(addresses.into_iter()),
                Ok(Ok(Some(Ok(_)))) => {
                    Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
                }
                Ok(Ok(Some(Err((kind, why))))) => Err(io::Error::new(kind, why)),
                Ok(Ok(None) | Err(_)) => Err(io::Error::other("the look-up broke off")),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the name server does not answer")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Condvar;

    /// A name server that says nothing about `stuck.…` until it is let go.
    #[derive(Default)]
    struct Silent {
        asked: Mutex<Vec<String>>,
        gone: Mutex<bool>,
        bell: Condvar,
    }

    impl Silent {
        fn lookup(self: &Arc<Self>) -> Lookup {
            let server = self.clone();
            Lookup::by(move |name| {
                server.asked.lock().unwrap().push(name.to_owned());
                if name.starts_with("stuck") {
                    let gone = server.gone.lock().unwrap();
                    drop(server.bell.wait_while(gone, |gone| !*gone).unwrap());
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(vec![([127, 0, 0, 1], 0).into()])
            })
        }
    }

    impl Silent {
        fn let_go(&self) {
            *self.gone.lock().unwrap() = true;
            self.bell.notify_all();
        }
    }

    async fn look(lookup: &Lookup, name: &str) -> io::Result<Vec<SocketAddr>> {
        lookup.clone().call(name.parse().unwrap()).await.map(Iterator::collect)
    }

    #[tokio::test]
    async fn f14_names_that_get_no_answer_hold_up_no_other() {
        let server = Arc::new(Silent::default());
        let lookup = server.lookup();
        let stuck: Vec<_> =
            (0..100).map(|n| lookup.clone().call(format!("stuck{n}").parse().unwrap())).collect();
        assert_eq!(look(&lookup, "good").await.unwrap(), [([127, 0, 0, 1], 0).into()]);
        for n in 100..MOST {
            lookup.begin(&format!("stuck{n}")).unwrap();
        }
        assert!(lookup.begin("one-more").is_err(), "there is an end to it");
        server.let_go();
        for one in stuck {
            assert!(one.await.is_err());
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_for_all_who_ask() {
        let server = Arc::new(Silent::default());
        let lookup = server.lookup();
        let asked: Vec<_> = (0..50).map(|_| lookup.begin("stuck").unwrap()).collect();
        server.let_go();
        for mut one in asked {
            one.wait_for(Option::is_some).await.unwrap();
        }
        assert_eq!(server.asked.lock().unwrap().len(), 1);
        assert!(look(&lookup, "stuck").await.is_err());
        assert_eq!(server.asked.lock().unwrap().len(), 2, "an answer is not kept");
    }
}
