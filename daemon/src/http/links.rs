//! One-shot local addresses that lead to the issuer.
//!
//! A browser is started with its address as an argument, which everybody on the machine can read. So
//! what it is given tells nothing: the real address, with state and challenge, comes as a redirect,
//! once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::random;

/// How many links into one sign-in may be unused.
const MOST: usize = 64;

/// The links into one sign-in. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    /// Where the listener is, and where the links lead to; absent until both are known.
    leads: Option<(String, String)>,
    /// Whether each is still good.
    links: HashMap<String, bool>,
}

/// What a link is good for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Go there.
    To(String),
    /// It was used before.
    Used,
    /// It never was one.
    Unknown,
}

/// Where links are, on the listener.
pub(crate) const START: &str = "/start/";

impl Links {
    /// From now on links can be issued; they are at `origin` and lead to `authorization_url`.
    pub(crate) fn open(&self, origin: String, authorization_url: String) {
        self.lock().leads = Some((origin, authorization_url));
    }

    /// A new link, if the sign-in is far enough.
    pub(crate) fn issue(&self) -> Option<String> {
        let mut open = self.lock();
        let (origin, _) = open.leads.as_ref()?;
        let nonce = random::name();
        let url = format!("{origin}{START}{nonce}");
        if open.links.values().filter(|unused| **unused).count() >= MOST {
            return None;
        }
        open.links.insert(nonce, true);
        Some(url)
    }

    /// Uses a link up.
    pub(crate) fn follow(&self, nonce: &str) -> Followed {
        let mut open = self.lock();
        let Open { leads, links } = &mut *open;
        match (leads, links.get_mut(nonce)) {
            (Some((_, to)), Some(unused @ true)) => {
                *unused = false;
                Followed::To(to.clone())
            }
            (_, Some(_)) => Followed::Used,
            (_, None) => Followed::Unknown,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_issuer_once_and_tells_nothing() {
        let links = Links::default();
        assert_eq!(links.issue(), None);
        links.open("http://localhost:1".into(), "https://i.example/authorize?state=s".into());
        let url = links.issue().unwrap();
        assert!(!url.contains("state"));
        let nonce = url.strip_prefix("http://localhost:1/start/").unwrap();
        assert_eq!(links.follow("other"), Followed::Unknown);
        assert_eq!(links.follow(nonce), Followed::To("https://i.example/authorize?state=s".into()));
        assert_eq!(links.follow(nonce), Followed::Used);
        assert_ne!(links.issue().unwrap(), url);
    }
}
