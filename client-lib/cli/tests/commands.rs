//! What the commands say, word for word, where no agent is needed: `tests/cmd/*.md`.
//!
//! `TRYCMD=overwrite cargo test -p sso --test commands` writes down what they say now.

/// Nobody listens there.
const SOCKET: &str =
    if cfg!(windows) { r"\\.\pipe\sso-agent-test-nobody" } else { "/nonexistent/agent.sock" };
const STATE: &str = if cfg!(windows) { r"C:\nonexistent\state" } else { "/nonexistent/state" };

#[test]
fn commands_say_what_is_written_down() {
    let cases = trycmd::TestCases::new();
    cases
        .env("SSO_AGENT_AUTOSTART", "0")
        .env("SSO_AGENT_SOCK", SOCKET)
        .env("SSO_AGENT_STATE", STATE)
        .env("DATABRICKS_HOST", "")
        .env("DATABRICKS_ACCOUNT_ID", "")
        .env("DATABRICKS_CONFIG_PROFILE", "")
        .env("DATABRICKS_CONFIG_FILE", if cfg!(windows) { r"C:\none" } else { "/nonexistent/.databrickscfg" })
        .insert_var("[SOCKET]", SOCKET)
        .expect("a name for it")
        .insert_var("[STATE]", STATE)
        .expect("a name for it")
        .case("tests/cmd/*.md");
    if cfg!(windows) {
        // What there is to look at, and to say of it, differs from system to system.
        cases.skip("tests/cmd/doctor.md");
    }
}
