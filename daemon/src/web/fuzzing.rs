//! What web apps bring back, for the fuzz targets.

use std::time::Duration;

use sso_agent_core::{
    consent::{CameBack, Consent},
    redirect::RedirectUrl,
    time::Now,
    words::SessionId,
};

use super::pending::Pending;
use crate::fuzzing::State;

/// The first line is where the browser was to come back to, the second where it came to; and all of it is an
/// opened note.
pub(crate) fn consent(bytes: &[u8]) {
    let _ = Pending::read(bytes).and_then(|pending| pending.consent());
    let text = State::fill(bytes);
    let Some((redirect, came_back)) = text.split_once('\n') else { return };
    let Ok(redirect) = RedirectUrl::parse(redirect) else { return };
    let consent = Consent {
        session: SessionId::named("h.example#~0"),
        redirect: redirect.clone(),
        expected: State::expected(false),
        begun: Duration::from_secs(1000),
    };
    let at = |wall| Now { steady: Duration::from_secs(5), wall: Duration::from_secs(wall) };
    let came = CameBack::At(came_back.into());
    if consent.judge(&came, at(1010)).is_ok() {
        let url = redirect.came_back(came_back).expect("it was where it should come back to");
        let states: Vec<_> = url.query_pairs().filter(|(name, _)| name == "state").collect();
        assert!(states.len() == 1 && states.iter().all(|(_, value)| value == State::TEXT));
        assert!(consent.judge(&came, at(1600)).is_err() && consent.judge(&came, at(900)).is_err());
    }
}
