//! Renewals that nobody waits for can be put off, and nothing else.

use super::*;

#[test]
fn what_is_due_while_paused_is_renewed_when_it_goes_on() {
    let mut agent = agent_with(&[(1, "")]);
    agent.handle(Event::Paused(true), at(0, 0));
    assert_eq!(agent.wake_at(at(0, 0)), None, "nothing is planned");
    assert!(agent.handle(Event::Woke, at(3000, 0)).is_empty());
    assert!(agent.handle(Event::Woke, at(3000, 90_000)).is_empty(), "nor when the clock is set");

    agent.handle(Event::Paused(false), at(3600, 0));
    assert_eq!(agent.wake_at(at(3600, 0)).unwrap().left(at(3600, 0)), Duration::ZERO);
    let renewed = |now| {
        let mut agent_at = |now| agent.handle(Event::Woke, now);
        let mut effects = agent_at(now);
        effects.extend(agent_at(at(now.steady.as_secs() + 1, 0)));
        effects.iter().filter(|effect| matches!(effect, Effect::Renew(..))).count()
    };
    assert_eq!([at(3600, 0)].map(renewed), [1]);
}

#[test]
fn whoever_waits_while_paused_is_served_and_whoever_goes_leaves_no_wake_up() {
    let mut agent = agent_with(&[(1, "")]);
    let waiter = |ticket, give_up| Waiter {
        ticket: Ticket(ticket),
        need: Need { youth: Some(Duration::ZERO), ..Need::default() },
        give_up: at(give_up, 0).after(Duration::ZERO),
    };
    let target = Target::Session(SessionId::of(&host(1), &Label::default()));
    agent.handle(Event::Paused(true), at(10, 0));
    let effects = agent.handle(Event::Asked(target, waiter(1, 20)), at(10, 0));
    let [Effect::Renew(id, attempt)] = effects.as_slice() else { panic!("{effects:?}") };
    let failed = Err(RenewError::Unreachable { why: String::new(), retry_after: None });
    agent.handle(Event::Renewed(id.clone(), *attempt, failed), at(11, 0));
    agent.handle(Event::HungUp(Ticket(1)), at(11, 0));
    agent.handle(Event::Woke, at(15, 0));
    assert_eq!(agent.wake_at(at(15, 0)), None);
}
