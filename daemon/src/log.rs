//! Where the daemon's own words go: the journal under systemd, stderr otherwise.
//!
//! `SSO_AGENT_LOG` sets the level of our own modules only. Libraries stay at warnings: at their
//! finer levels some write whole requests, and ours hold refresh tokens.

use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
};

const OURS: [&str; 2] = ["sso_agent", "sso_agent_core"];

/// Starts logging.
pub(crate) fn start() {
    let subscriber = Registry::default().with(filter(&wish("SSO_AGENT_LOG"))).with(output());
    // A second daemon in one process (the demo beside a test) logs where the first one does.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[expect(clippy::disallowed_methods, reason = "the log is set up before there are settings")]
fn wish(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn filter(level: &str) -> Targets {
    // An empty text would be read as `error`.
    let level = Some(level).filter(|level| !level.is_empty()).and_then(|level| level.parse().ok());
    let level: LevelFilter = level.unwrap_or(LevelFilter::INFO);
    Targets::new().with_default(LevelFilter::WARN).with_targets(OURS.map(|module| (module, level)))
}

fn output() -> Box<dyn Layer<tracing_subscriber::layer::Layered<Targets, Registry>> + Send + Sync> {
    #[cfg(target_os = "linux")]
    if std::env::var_os("JOURNAL_STREAM").is_some()
        && let Ok(journal) = tracing_journald::layer()
    {
        return journal.with_syslog_identifier("sso-agent".to_owned()).boxed();
    }
    // Whoever read our words may be gone: to complain about that on stderr would be the end of us.
    let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    if wish("SSO_AGENT_LOG_FORMAT") == "json" { plain.json().boxed() } else { plain.with_ansi(false).boxed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_quiet_whatever_is_wished() {
        for level in ["trace", "debug", "nonsense", "hyper=trace", ""] {
            let filter = filter(level).to_string();
            assert!(filter.contains("warn") && !filter.contains("hyper"), "{filter}");
        }
        assert!(filter("").to_string().contains("sso_agent=info"));
    }
}
