use super::*;
use crate::{
    host::Host,
    words::{Label, Need, SessionId},
};

fn at(s: u64) -> Now {
    Now { steady: Duration::from_secs(s), wall: Duration::from_secs(1_000_000 + s) }
}

fn lease(id: &str, from: u64, life: u64) -> Arc<Lease> {
    let lifetime = Duration::from_secs(life);
    Arc::new(Lease {
        access_token: "secret".into(),
        token_type: "Bearer".into(),
        token_id: id.into(),
        scopes: vec![],
        obtained: at(from),
        lifetime,
        expires: at(from).after(lifetime),
    })
}

fn about() -> About {
    let host = Host::parse("a.example", None).unwrap();
    let (id, label) = (SessionId::of(&host, &Label::default()), Label::default());
    let (client_id, issuer) = ("c".into(), host.url().to_owned());
    About { id, host, label, client_id, issuer, user: None, scopes: vec![], made_from: None }
}

/// Signed in at 0 with a token "one" that lives an hour.
fn signed_in() -> Session {
    Session::new(about(), Renewable::ByRefreshToken, lease("one", 0, 3600), Spread::seeded(1), 1)
}

fn waiter(ticket: u64, now: u64, wait: u64) -> Waiter {
    let need =
        Need { min_valid: Duration::from_secs(60), required: Duration::from_secs(60), ..Need::default() };
    Waiter { ticket: Ticket(ticket), need, give_up: at(now).after(Duration::from_secs(wait)) }
}

fn unreachable(retry_after: Option<u64>) -> RenewError {
    RenewError::Unreachable { why: "no route".into(), retry_after: retry_after.map(Duration::from_secs) }
}

fn rejected() -> RenewError {
    RenewError::Rejected(OAuthError { error: "invalid_grant".into(), description: None })
}

/// What was answered: ticket and token id, or ticket and refusal.
fn answers(wants: &[Want]) -> Vec<(u64, Result<String, Refusal>)> {
    let mut found = Vec::new();
    for want in wants {
        if let Want::Answer(tickets, answer) = want {
            let answer = answer.as_ref().map(|lease| lease.token_id.clone()).map_err(Clone::clone);
            found.extend(tickets.iter().map(|ticket| (ticket.0, answer.clone())));
        }
    }
    found
}

fn attempt(wants: &[Want]) -> Option<Attempt> {
    let mut attempts = wants.iter().filter_map(|want| match want {
        Want::Renew(attempt) => Some(*attempt),
        Want::Offer(_) | Want::Answer(..) | Want::Tell(_) => None,
    });
    let first = attempts.next();
    assert_eq!(attempts.next(), None, "two renewals at once");
    first
}

#[test]
fn a_good_token_is_handed_out_at_once() {
    let wants = signed_in().ask(waiter(1, 10, 30), at(10));
    assert_eq!(answers(&wants), [(1, Ok("one".into()))]);
    assert_eq!(attempt(&wants), None);
}

#[test]
fn everybody_waits_for_the_same_renewal() {
    let mut session = signed_in();
    let begun = attempt(&session.ask(waiter(1, 3590, 30), at(3590))).unwrap();
    assert_eq!(attempt(&session.ask(waiter(2, 3591, 30), at(3591))), None);
    assert_eq!(session.doing(at(3591)), Doing::Refreshing);
    let wants = session.renewed(begun, Ok(lease("two", 3592, 3600)), at(3592));
    assert!(matches!(wants[0], Want::Offer(_)), "readers get it before anybody hears of it");
    assert_eq!(answers(&wants), [(1, Ok("two".into())), (2, Ok("two".into()))]);
}

#[test]
fn a_renewal_begins_by_itself_before_the_token_gets_stale() {
    let mut session = signed_in();
    let due = session.wake_at(at(0)).unwrap();
    assert!(due.wall() <= at(2400).wall && due.wall() >= at(2040).wall);
    assert!(session.wake(at(2000)).is_empty());
    assert!(attempt(&session.wake(at(2400))).is_some());
    assert_eq!(answers(&session.ask(waiter(1, 2401, 30), at(2401))), [(1, Ok("one".into()))]);
}

#[test]
fn while_renewing_fails_a_valid_token_goes_on_being_served() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(2400))).unwrap();
    let wants = session.renewed(begun, Err(unreachable(None)), at(2401));
    assert!(matches!(wants[..], [Want::Tell(Notice::Retrying)]));
    assert_eq!(answers(&session.ask(waiter(1, 2402, 30), at(2402))), [(1, Ok("one".into()))]);
    let mut forced = waiter(2, 2402, 30);
    forced.need.youth = Some(Duration::from_secs(30));
    assert_eq!(answers(&session.ask(forced, at(2402))), [], "who insists on a new one waits for it");
    assert!(attempt(&session.wake(at(2404))).is_some(), "and it is tried again");
}

#[test]
fn who_waits_is_told_by_its_own_deadline_why() {
    let mut session = signed_in();
    let begun = attempt(&session.ask(waiter(1, 3600, 2), at(3600))).unwrap();
    session.ask(waiter(2, 3600, 60), at(3600));
    assert_eq!(answers(&session.wake(at(3602))), [(1, Err(Refusal::Timeout))]);
    let wants = session.renewed(begun, Err(unreachable(Some(30))), at(3603));
    assert_eq!(answers(&wants), [], "30 s are within the second one's patience");
    let wants = session.ask(waiter(3, 3603, 10), at(3603));
    assert!(
        matches!(&answers(&wants)[..], [(3, Err(Refusal::Unavailable { retry_after, .. }))] if retry_after.as_secs() == 30)
    );
    assert_eq!(attempt(&wants), None, "nothing is sent before the issuer wants it");
}

#[test]
fn somebody_who_needs_a_token_shortens_the_pause_but_not_one_that_the_issuer_asked_for() {
    let mut session = signed_in();
    let mut now = 3600;
    for _ in 0..8 {
        let begun = attempt(&session.wake(at(now))).unwrap();
        session.renewed(begun, Err(unreachable(None)), at(now));
        now += session.wake_at(at(now)).unwrap().left(at(now)).as_secs() + 1;
    }
    let begun = attempt(&session.wake(at(now))).unwrap();
    session.renewed(begun, Err(unreachable(None)), at(now));
    assert!(session.wake_at(at(now)).unwrap().left(at(now)).as_secs() > 40);
    assert_eq!(answers(&session.ask(waiter(1, now, 30), at(now))), []);
    assert_eq!(session.wake_at(at(now)).unwrap().left(at(now)).as_secs(), 4);
}

#[test]
fn only_a_rejection_ends_the_session_and_its_token_is_served_to_its_end() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(2400))).unwrap();
    let wants = session.renewed(begun, Err(rejected()), at(2401));
    assert!(matches!(wants[..], [Want::Tell(Notice::LoginRequired)]));
    assert_eq!(session.doing(at(2401)), Doing::LoginRequired);
    assert_eq!(answers(&session.ask(waiter(1, 2402, 30), at(2402))), [(1, Ok("one".into()))]);
    let wants = session.ask(waiter(2, 3599, 30), at(3599));
    assert!(matches!(&answers(&wants)[..], [(2, Err(Refusal::LoginRequired { said: Some(_), .. }))]));
    assert!(session.wake_at(at(3599)).is_none());
    assert!(attempt(&session.wake(at(99_999))).is_none());
}

#[test]
fn a_client_that_the_issuer_does_not_like_is_left_alone_for_an_hour() {
    let mut session = signed_in();
    let begun = attempt(&session.ask(waiter(1, 3600, 30), at(3600))).unwrap();
    let said = OAuthError { error: "invalid_client".into(), description: None };
    let wants = session.renewed(begun, Err(RenewError::Refused(said.clone())), at(3600));
    assert_eq!(answers(&wants), [(1, Err(Refusal::Rejected(said)))]);
    assert_eq!(session.wake_at(at(3600)).unwrap().left(at(3600)).as_secs(), 3600);
}

// Fault 20: the machine slept while the issuer was asked; what it said is heard after that.
#[test]
fn f20_what_a_renewal_says_that_was_given_up_counts_until_the_next_has_begun() {
    let given_up = || {
        let mut session = signed_in();
        let attempt = attempt(&session.wake(at(2400))).unwrap();
        assert!(session.wake(at(2431)).iter().all(|want| !matches!(want, Want::Renew(_))));
        (session, attempt)
    };
    let (mut session, attempt) = given_up();
    session.renewed(attempt, Err(rejected()), at(2431));
    assert_eq!(session.doing(at(2431)), Doing::LoginRequired, "and nothing is sent once more");
    let (mut session, attempt) = given_up();
    session.renewed(attempt, Err(unreachable(Some(600))), at(2431));
    assert!(session.wake(at(3030)).is_empty(), "the issuer asked for that");
    assert!(matches!(session.wake(at(3031))[..], [Want::Renew(_)]));
}

// Fault 18: the wall clock is set forward while the issuer is to be left alone.
#[test]
fn f18_a_clock_that_is_set_shortens_no_pause() {
    let mut session = signed_in();
    let attempt = attempt(&session.wake(at(2400))).unwrap();
    session.renewed(attempt, Err(unreachable(Some(600))), at(2401));
    let tomorrow = |s| Now { wall: at(s + 86_400).wall, ..at(s) };
    assert!(session.wake(tomorrow(2900)).is_empty());
    assert!(matches!(session.wake(tomorrow(3001))[..], [Want::Renew(_)]));
}

#[test]
fn f11_what_was_refused_is_tried_again_when_the_settings_have_changed() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(2400))).unwrap();
    let said = OAuthError { error: "invalid_client".into(), description: None };
    session.renewed(begun, Err(RenewError::Refused(said)), at(2401));
    assert!(session.is_refused() && attempt(&session.wake(at(5000))).is_none());
    session.reconsider(at(5001));
    assert!(attempt(&session.wake(at(5001))).is_some());
}

/// When a session asks its issuer, within a quarter of an hour in which somebody wants a token every second
/// and every attempt ends like this.
fn asked(error: impl Fn() -> RenewError) -> Vec<u64> {
    let mut session = signed_in();
    let mut asked = Vec::new();
    for now in 3600..4500 {
        let mut wants = session.wake(at(now));
        wants.extend(session.ask(waiter(now, now, 30), at(now)));
        if let Some(begun) = attempt(&wants) {
            asked.push(now - 3600);
            session.renewed(begun, Err(error()), at(now));
        }
    }
    asked
}

#[test]
fn f04_an_issuer_that_is_unwell_is_not_asked_more_because_many_wait() {
    let asked = asked(|| RenewError::Unwell { why: "500".into(), retry_after: None });
    for first in &asked {
        let within = asked.iter().filter(|at| (*first..first + 600).contains(*at)).count();
        assert!(within <= 10, "{asked:?}");
    }
    assert!(asked.len() >= 8 && asked.windows(2).all(|pair| pair[1] - pair[0] <= 200), "{asked:?}");
}

#[test]
fn f15_a_way_that_is_back_is_noticed_within_five_seconds_while_somebody_waits() {
    let asked = asked(|| unreachable(None));
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= 5), "{asked:?}");
}

#[test]
fn f05_before_the_time_that_the_issuer_named_nothing_is_sent_whoever_asks() {
    for error in [
        || unreachable(Some(300)),
        || RenewError::Unwell { why: "429".into(), retry_after: Some(Duration::from_secs(300)) },
    ] {
        let asked = asked(error);
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{asked:?}");
    }
    let mut session = signed_in();
    let begun = attempt(&session.ask(waiter(1, 3600, 30), at(3600))).unwrap();
    session.renewed(begun, Err(unreachable(Some(300))), at(3600));
    let told = answers(&session.ask(waiter(2, 3700, 30), at(3700)));
    assert!(
        matches!(&told[..], [(2, Err(Refusal::Unavailable { retry_after, .. }))] if retry_after.as_secs() == 200)
    );
    let set_forward = Now { wall: at(9_000_000).wall, ..at(3700) };
    assert!(attempt(&session.wake(set_forward)).is_none(), "nor when the clock is set forward");
}

#[test]
fn a_late_failure_changes_nothing_and_a_late_success_is_kept() {
    let mut session = signed_in();
    let first = attempt(&session.wake(at(2400))).unwrap();
    assert!(matches!(session.wake(at(2475))[..], [Want::Tell(Notice::Retrying)]), "it gave up");
    let second = attempt(&session.wake(at(2485))).unwrap();
    assert!(session.renewed(first, Err(rejected()), at(2486)).is_empty());
    assert_eq!(session.doing(at(2486)), Doing::Retrying);
    session.renewed(first, Ok(lease("late", 2400, 3600)), at(2487));
    assert_eq!(session.lease().unwrap().token_id, "late");
    assert!(session.renewed(second, Err(rejected()), at(2488)).is_empty());
    assert_eq!(session.doing(at(2488)), Doing::Active);
}

#[test]
fn a_token_that_a_server_turned_down_is_replaced_once() {
    let mut session = signed_in();
    let mut refused = waiter(1, 10, 30);
    refused.need.not = Some("one".into());
    let begun = attempt(&session.ask(refused.clone(), at(10))).unwrap();
    session.renewed(begun, Ok(lease("two", 11, 3600)), at(11));
    assert_eq!(answers(&session.ask(refused, at(12))), [(1, Ok("two".into()))]);
}

#[test]
fn who_wants_a_new_token_gets_one_that_is_younger_than_half_a_minute() {
    let mut session = signed_in();
    let mut fresh = waiter(1, 29, 30);
    fresh.need.youth = Some(Duration::from_secs(30));
    assert_eq!(answers(&session.ask(fresh.clone(), at(29))), [(1, Ok("one".into()))]);
    assert!(attempt(&session.ask(fresh, at(30))).is_some());
}

#[test]
fn without_a_refresh_token_the_session_ends_with_its_token() {
    let mut session = Session::new(about(), Renewable::Never, lease("one", 0, 100), Spread::seeded(1), 1);
    assert_eq!(session.doing(at(50)), Doing::Active);
    assert!(session.wake(at(99)).is_empty());
    assert!(matches!(session.wake(at(100))[..], [Want::Tell(Notice::LoginRequired)]));
    assert!(matches!(
        answers(&session.ask(waiter(1, 101, 30), at(101)))[..],
        [(1, Err(Refusal::LoginRequired { .. }))]
    ));
}

#[test]
fn a_restored_session_with_a_valid_token_asks_nobody_for_anything() {
    let mut session = Session::restored(
        about(),
        Renewable::ByRefreshToken,
        Some(lease("one", 0, 3600)),
        None,
        Spread::seeded(1),
        1,
        at(100),
    );
    assert!(session.wake(at(100)).is_empty());
    assert_eq!(answers(&session.ask(waiter(1, 100, 30), at(100))), [(1, Ok("one".into()))]);
}

#[test]
fn a_restored_session_that_is_overdue_waits_a_little_unless_somebody_asks() {
    let restored =
        || Session::restored(about(), Renewable::ByRefreshToken, None, None, Spread::seeded(1), 1, at(100));
    assert!(restored().wake_at(at(100)).unwrap().left(at(100)) <= Duration::from_secs(10));
    assert!(attempt(&restored().ask(waiter(1, 100, 30), at(100))).is_some());
}

#[test]
fn signing_in_again_answers_those_who_wait() {
    let mut session = signed_in();
    session.ask(waiter(1, 3600, 30), at(3600));
    let wants = session.replace(about(), Renewable::ByRefreshToken, lease("new", 3605, 3600), at(3605));
    assert_eq!(answers(&wants), [(1, Ok("new".into()))]);
}

#[test]
fn signing_in_during_a_renewal_does_not_start_a_second_one() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(2400))).unwrap();
    session.replace(about(), Renewable::ByRefreshToken, lease("new", 2401, 1), at(2401));
    assert_eq!(attempt(&session.ask(waiter(1, 2410, 30), at(2410))), None);
    let wants = session.renewed(begun, Ok(lease("newer", 2411, 3600)), at(2411));
    assert_eq!(answers(&wants), [(1, Ok("newer".into()))]);
}

#[test]
fn who_asks_for_no_certain_time_gets_what_is_left_while_renewing_fails() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(3560))).unwrap();
    session.renewed(begun, Err(unreachable(Some(600))), at(3561));
    let mut easy = waiter(1, 3590, 30);
    easy.need.required = Duration::ZERO;
    assert_eq!(answers(&session.ask(easy.clone(), at(3590))), [(1, Ok("one".into()))]);
    let wants = session.ask(waiter(2, 3590, 30), at(3590));
    assert!(matches!(answers(&wants)[..], [(2, Err(Refusal::Unavailable { .. }))]));
    assert!(matches!(answers(&session.ask(easy, at(3600)))[..], [(1, Err(Refusal::Unavailable { .. }))]));
}

#[test]
fn a_new_token_that_is_no_better_is_not_replaced_at_once() {
    let mut session = signed_in();
    let mut refused = waiter(1, 10, 300);
    refused.need.not = Some("one".into());
    let begun = attempt(&session.ask(refused, at(10))).unwrap();
    let mut wants = session.renewed(begun, Ok(lease("one", 11, 3600)), at(11));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        assert_eq!((attempt(&wants), answers(&wants)), (None, vec![]));
        pauses.push(session.wake_at(at(11)).unwrap().left(at(11)));
        let begun = attempt(&session.wake(at(100))).unwrap();
        wants = session.renewed(begun, Ok(lease("one", 11, 3600)), at(11));
    }
    assert!(pauses[0] >= Duration::from_millis(800) && pauses[3] >= Duration::from_secs(4), "{pauses:?}");
}

#[test]
fn with_nothing_to_renew_it_the_session_ends() {
    let mut session = signed_in();
    let begun = attempt(&session.wake(at(2400))).unwrap();
    let wants = session.renewed(begun, Err(RenewError::Gone("no record".into())), at(2401));
    assert!(matches!(wants[..], [Want::Tell(Notice::LoginRequired)]));
    assert_eq!(session.doing(at(2401)), Doing::LoginRequired);
}
