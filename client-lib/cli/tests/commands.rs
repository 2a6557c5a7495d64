//! What the commands say, word for word, where no agent is needed: `tests/cmd/*.md`.
//!
//! `TRYCMD=overwrite cargo test -p sso --test commands` writes down what they say now.

#[test]
fn commands_say_what_is_written_down() {
    trycmd::TestCases::new()
        .env("SSO_AGENT_AUTOSTART", "0")
        .env("SSO_AGENT_SOCK", "/nonexistent/agent.sock")
        .env("SSO_AGENT_STATE", "/nonexistent/state")
        .env("DATABRICKS_HOST", "")
        .env("DATABRICKS_ACCOUNT_ID", "")
        .env("DATABRICKS_CONFIG_PROFILE", "")
        .env("DATABRICKS_CONFIG_FILE", "/nonexistent/.databrickscfg")
        .case("tests/cmd/*.md");
}
