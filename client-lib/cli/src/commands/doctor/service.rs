//! What starts the agent by itself: whether it is there, as this version writes it, and at work.

use std::path::Path;

use sso_agent_client::autostart;

use super::{
    super::agent::service::{Standing, elsewhere, standing},
    Finding,
};

const CHECK: &str = "service";

pub(super) fn check(program: Option<&Path>) -> Option<Finding> {
    // As `sso agent` has it: an agent of other places is another agent.
    if let Some(name) = elsewhere() {
        return Some(Finding::ok(CHECK, format!("of no concern: {name} names another agent than its")));
    }
    Some(judge(standing()?, program.is_some() && autostart::is_wanted()))
}

fn judge(standing: Standing, commands_start_it: bool) -> Finding {
    match standing {
        Standing::Absent if commands_start_it => {
            Finding::ok(CHECK, "not installed: the first command that needs the agent starts it")
        }
        Standing::Absent => {
            Finding::warn(CHECK, "not installed, and no command starts the agent", "run `sso agent install`")
        }
        Standing::Well(how) => Finding::ok(CHECK, how),
        Standing::Odd { message, hint } => Finding::warn(CHECK, message, hint),
        Standing::Broken { message, hint } => Finding::fail(CHECK, message, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn where_nothing_is_installed_it_depends_on_who_else_starts_the_agent() {
        let status = |started| judge(Standing::Absent, started).status;
        assert_eq!((status(true), status(false)), (Status::Ok, Status::Warn));
    }
}
