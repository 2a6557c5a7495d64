//! What the command line means, read as cobra reads it: flags stand anywhere, `--flag value` and
//! `--flag=value`, `-p value`, `-pvalue` and `-p=value`.
//!
//! The hard part is to tell what is ours before any flag is judged: a flag that only the real CLI knows is
//! no error in one of its commands.

use std::{ffi::OsString, time::Duration};

use crate::say::Fail;

/// A command that is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Version,
    Token,
    Login,
    Profiles,
    Describe,
    Env,
    Logout,
    Switch,
}

/// What help is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Auth,
    Of(Command),
}

/// What the command line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meant {
    Ours(Command, Said),
    Help(Topic),
    /// It is for the real CLI.
    Theirs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// All that was said to one of our commands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) words: Vec<String>,
    pub(crate) profile: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) workspace_id: Option<String>,
    pub(crate) output: Option<Format>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) scopes: Option<String>,
    pub(crate) force_refresh: bool,
    pub(crate) skip_validate: bool,
    pub(crate) sensitive: bool,
    pub(crate) auto_approve: bool,
    pub(crate) delete: bool,
    pub(crate) configure_cluster: bool,
    pub(crate) configure_serverless: bool,
    help: bool,
}

impl Said {
    /// How the result is wanted: as said, as the environment says, as text.
    pub(crate) fn format(&self) -> Format {
        let of_environment = || match std::env::var("DATABRICKS_OUTPUT_FORMAT").as_deref() {
            Ok("json") => Some(Format::Json),
            _ => None,
        };
        self.output.or_else(of_environment).unwrap_or(Format::Text)
    }
}

impl Command {
    fn of_auth(word: &str) -> Option<Self> {
        Some(match word {
            "token" => Self::Token,
            "login" => Self::Login,
            "profiles" => Self::Profiles,
            "describe" => Self::Describe,
            "env" => Self::Env,
            "logout" => Self::Logout,
            "switch" => Self::Switch,
            _ => return None,
        })
    }

    /// How many words it takes behind its name.
    fn most_words(self) -> usize {
        match self {
            Self::Token | Self::Login | Self::Logout => 1,
            Self::Version | Self::Profiles | Self::Describe | Self::Env | Self::Switch => 0,
        }
    }

    /// Which flags it knows besides those of all, and those of `auth`.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Version => &["check", "version"],
            Self::Token => &["timeout", "force-refresh"],
            Self::Login => {
                &["timeout", "configure-cluster", "configure-serverless", "skip-workspace", "scopes"]
            }
            Self::Profiles => &["skip-validate"],
            Self::Describe => &["sensitive"],
            Self::Logout => &["auto-approve", "delete"],
            Self::Env | Self::Switch => &[],
        }
    }

    fn knows(self, flag: &str) -> bool {
        let of_all = if self == Self::Version { known_to_all } else { known_to_auth };
        of_all(flag) || self.flags().contains(&flag)
    }
}

/// Flags of all commands, with a value.
const GLOBAL: &[&str] =
    &["profile", "output", "target", "log-file", "log-format", "log-level", "progress-format"];
/// Flags of `auth`, with a value.
const OF_AUTH: &[&str] = &["host", "account-id", "workspace-id"];
/// Flags of some commands, with a value.
const OF_SOME: &[&str] = &["timeout", "scopes", "var"];
/// Flags of all commands, and of `auth` in SDKs' calls, without a value.
const SWITCHES: &[&str] = &["help", "debug", "experimental-is-unified-host"];

fn takes_value(flag: &str) -> bool {
    [GLOBAL, OF_AUTH, OF_SOME].iter().any(|flags| flags.contains(&flag))
}

fn known_to_all(flag: &str) -> bool {
    GLOBAL.contains(&flag) || SWITCHES.contains(&flag)
}

fn known_to_auth(flag: &str) -> bool {
    known_to_all(flag) || OF_AUTH.contains(&flag)
}

/// One piece of the command line.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Word(String),
    /// With its name as it was written.
    Flag {
        name: String,
        shown: String,
        value: Option<String>,
    },
    /// A short flag that nobody of us knows.
    Short(char, String),
}

/// Reads the command line behind the program's name.
pub(crate) fn read(args: &[OsString]) -> Result<Meant, Fail> {
    let Some(pieces) = pieces(args) else { return Ok(Meant::Theirs) };
    let words: Vec<&str> = pieces.iter().filter_map(word).collect();
    let flag =
        |wanted: &str| pieces.iter().any(|piece| matches!(piece, Piece::Flag { name, .. } if name == wanted));
    let (command, named) = match words.as_slice() {
        [] if flag("version") => (Command::Version, 0),
        ["version", ..] => (Command::Version, 1),
        ["help", "version"] => return Ok(Meant::Help(Topic::Of(Command::Version))),
        ["help", "auth"] | ["auth"] => {
            let mut said = Said::default();
            pieces.into_iter().try_for_each(|piece| said.take(known_to_auth, piece))?;
            return Ok(Meant::Help(Topic::Auth));
        }
        ["help", "auth", sub] => {
            return Ok(Command::of_auth(sub).map_or(Meant::Theirs, |sub| Meant::Help(Topic::Of(sub))));
        }
        ["auth", sub, ..] => match Command::of_auth(sub) {
            Some(command) => (command, 2),
            None => return Ok(Meant::Theirs),
        },
        _ => return Ok(Meant::Theirs),
    };
    let mut said = Said::default();
    for piece in pieces {
        said.take(|flag| command.knows(flag), piece)?;
    }
    if said.help {
        return Ok(Meant::Help(Topic::Of(command)));
    }
    said.words.drain(..named);
    match said.words.len() {
        given if given > command.most_words() => {
            Err(Fail::new(format!("accepts at most {} arg(s), received {given}", command.most_words())))
        }
        _ => Ok(Meant::Ours(command, said)),
    }
}

fn word(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Word(word) => Some(word),
        Piece::Flag { .. } | Piece::Short(..) => None,
    }
}

/// `None` when something is no text, which is for the real CLI.
fn pieces(args: &[OsString]) -> Option<Vec<Piece>> {
    let mut args = args.iter().map(|arg| arg.to_str());
    let mut pieces = Vec::new();
    let mut flags = true;
    while let Some(arg) = args.next() {
        let arg = arg?;
        match arg.strip_prefix("--") {
            Some("") if flags => flags = false,
            Some(long) if flags => {
                let (name, mut value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                if value.is_none() && takes_value(name) {
                    value = args.next().transpose_text()?;
                }
                pieces.push(Piece::Flag { name: name.to_owned(), shown: format!("--{name}"), value });
            }
            _ if flags && arg.len() > 1 && arg.starts_with('-') => pieces.push(short(&arg[1..], &mut args)?),
            _ => pieces.push(Piece::Word(arg.to_owned())),
        }
    }
    Some(pieces)
}

fn short<'a>(cluster: &str, rest: &mut impl Iterator<Item = Option<&'a str>>) -> Option<Piece> {
    let mut letters = cluster.chars();
    let letter = letters.next()?;
    let name = match letter {
        'p' => "profile",
        'o' => "output",
        't' => "target",
        'h' => "help",
        'v' => "version",
        _ => return Some(Piece::Short(letter, format!("-{cluster}"))),
    };
    let attached = letters.as_str();
    let attached = attached.strip_prefix('=').unwrap_or(attached);
    let value = match attached {
        "" if takes_value(name) => rest.next().transpose_text()?,
        "" => None,
        value => Some(value.to_owned()),
    };
    Some(Piece::Flag { name: name.to_owned(), shown: format!("'{letter}' in -{cluster}"), value })
}

/// What is next may be nothing, or no text.
trait TransposeText {
    fn transpose_text(self) -> Option<Option<String>>;
}

impl TransposeText for Option<Option<&str>> {
    fn transpose_text(self) -> Option<Option<String>> {
        match self {
            None => Some(None),
            Some(None) => None,
            Some(Some(text)) => Some(Some(text.to_owned())),
        }
    }
}

impl Said {
    fn take(&mut self, known: impl Fn(&str) -> bool, piece: Piece) -> Result<(), Fail> {
        let (name, shown, value) = match piece {
            Piece::Word(word) => {
                self.words.push(word);
                return Ok(());
            }
            Piece::Short(letter, shown) => {
                return Err(Fail::new(format!("unknown shorthand flag: {letter:?} in {shown}")));
            }
            Piece::Flag { name, shown, value } => (name, shown, value),
        };
        if !known(&name) {
            return Err(Fail::new(format!("unknown flag: --{name}")));
        }
        if takes_value(&name) {
            let Some(value) = value else {
                return Err(Fail::new(format!("flag needs an argument: {shown}")));
            };
            return self.set(&name, value);
        }
        let on = match value.as_deref() {
            None | Some("true" | "t" | "T" | "TRUE" | "True" | "1") => true,
            Some("false" | "f" | "F" | "FALSE" | "False" | "0") => false,
            Some(value) => return Err(invalid(value, &format!("--{name}"), "invalid syntax")),
        };
        self.switch(&name, on);
        Ok(())
    }

    /// An empty value counts as none, as an unset variable of a script leaves it.
    fn set(&mut self, name: &str, value: String) -> Result<(), Fail> {
        let some = |value: String| Some(value).filter(|value| !value.is_empty());
        match name {
            "profile" => self.profile = some(value),
            "host" => self.host = some(value),
            "account-id" => self.account_id = some(value),
            "workspace-id" => self.workspace_id = some(value),
            "scopes" => self.scopes = some(value),
            "output" => self.output = Some(format(&value)?),
            "timeout" => self.timeout = Some(duration(&value)?),
            // What the real CLI logs is of no concern here.
            _ => {}
        }
        Ok(())
    }

    fn switch(&mut self, name: &str, on: bool) {
        match name {
            "help" => self.help = on,
            "force-refresh" => self.force_refresh = on,
            "skip-validate" => self.skip_validate = on,
            "sensitive" => self.sensitive = on,
            "auto-approve" => self.auto_approve = on,
            "delete" => self.delete = on,
            "configure-cluster" => self.configure_cluster = on,
            "configure-serverless" => self.configure_serverless = on,
            _ => {}
        }
    }
}

fn format(value: &str) -> Result<Format, Fail> {
    match value.to_ascii_lowercase().as_str() {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err(invalid(value, "-o, --output", "accepted arguments are text and json")),
    }
}

/// As Go writes it: `300s`, `1h30m`, `1.5h`, `0`.
fn duration(value: &str) -> Result<Duration, Fail> {
    let wrong = || invalid(value, "--timeout", &format!("time: invalid duration {value:?}"));
    if value == "0" {
        return Ok(Duration::ZERO);
    }
    let bare = value.parse::<f64>().is_ok();
    let read = value.parse::<jiff::SignedDuration>().ok().filter(|_| !bare);
    read.and_then(|time| Duration::try_from(time).ok()).ok_or_else(wrong)
}

fn invalid(value: &str, flag: &str, why: &str) -> Fail {
    Fail::new(format!("invalid argument {value:?} for {flag:?} flag: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(line: &str) -> Result<Meant, Fail> {
        read(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn said(line: &str) -> (Command, Said) {
        match meant(line) {
            Ok(Meant::Ours(command, said)) => (command, said),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn flags_stand_before_and_behind_the_command() {
        for line in [
            "auth token --profile p",
            "--profile p auth token",
            "auth --profile=p token",
            "-p p auth token",
            "auth token -pp",
            "auth token -p=p",
            "--log-level debug auth token --debug --profile p",
        ] {
            let (command, said) = said(line);
            assert_eq!((command, said.profile.as_deref()), (Command::Token, Some("p")), "{line}");
        }
    }

    #[test]
    fn what_sdks_call_is_understood() {
        let (_, token) = said(
            "auth token --host h --account-id a --workspace-id w --experimental-is-unified-host --force-refresh --timeout 30s -o json",
        );
        assert_eq!((token.host.as_deref(), token.account_id.as_deref()), (Some("h"), Some("a")));
        assert_eq!((token.force_refresh, token.timeout), (true, Some(Duration::from_secs(30))));
        assert_eq!(said("auth token x --output text").1.output, Some(Format::Text));
        assert_eq!(said("version --output json").0, Command::Version);
        assert_eq!(said("auth token --profile= --host h").1.profile, None);
        assert_eq!(said("--version").0, Command::Version);
        assert_eq!(said("-v").0, Command::Version);
        assert!(said("auth profiles --skip-validate=true").1.skip_validate);
        assert!(!said("auth logout p --delete=false").1.delete);
    }

    #[test]
    fn what_is_no_command_of_ours_is_theirs_with_whatever_flags() {
        for line in [
            "",
            "clusters list --nope",
            "-p p bundle deploy -t dev",
            "--help",
            "help",
            "auth new --x",
            "-z",
            "help clusters",
            "--profile auth token",
        ] {
            assert_eq!(meant(line), Ok(Meant::Theirs), "{line}");
        }
    }

    #[test]
    fn help_is_ours_for_what_is_ours() {
        for line in ["auth token --help", "help auth token", "auth token -h --force-refresh"] {
            assert_eq!(meant(line), Ok(Meant::Help(Topic::Of(Command::Token))), "{line}");
        }
        assert_eq!(meant("auth --help"), Ok(Meant::Help(Topic::Auth)));
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_cobra() {
        for (line, words) in [
            ("auth token --nope", "unknown flag: --nope"),
            ("auth --nope", "unknown flag: --nope"),
            ("auth switch --force-refresh", "unknown flag: --force-refresh"),
            ("auth token -x", "unknown shorthand flag: 'x' in -x"),
            ("auth token --profile", "flag needs an argument: --profile"),
            ("auth token -p", "flag needs an argument: 'p' in -p"),
            ("auth token a b", "accepts at most 1 arg(s), received 2"),
            (
                "auth token -o xml",
                "invalid argument \"xml\" for \"-o, --output\" flag: accepted arguments are text and json",
            ),
        ] {
            assert_eq!(meant(line), Err(Fail::new(words)), "{line}");
        }
        assert!(meant("auth token --timeout soon").is_err());
        assert!(meant("auth token --timeout 5").is_err());
    }

    #[test]
    fn behind_two_dashes_everything_is_a_word() {
        assert_eq!(said("auth token -- --profile").1.words, ["--profile"]);
    }
}
