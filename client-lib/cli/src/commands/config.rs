//! `sso config`: the agent's own file of settings. Only the agent knows what it takes, so it is asked.

use std::{io, path::Path, process::Command};

use serde::Serialize;
use sso_agent_client::{
    Error,
    blocking::Agent,
    proto::{
        places::{CONFIG_TEMPLATE, Places},
        profile::{Profile, Profiles, Source},
    },
};

use crate::{
    args,
    exit::{FAILED, Failure},
    output::{Output, clean},
    private,
};

pub(super) fn run(command: &args::Config, output: &Output) -> Result<(), Failure> {
    let path = Places::from_env().map_err(Error::from)?.config;
    match command {
        args::Config::Init => {
            init(&path)?;
            output.result(&serde_json::json!({ "path": path }), || format!("Wrote {}", path.display()))
        }
        args::Config::Show => show(&path, output),
        args::Config::Check => check(&path, output),
        args::Config::Edit => {
            if !path.exists() {
                init(&path)?;
            }
            edit(&path)?;
            check(&path, output)
        }
    }
}

fn init(path: &Path) -> Result<(), Failure> {
    private::create(path, CONFIG_TEMPLATE.as_bytes()).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            let hint = "change it: `sso config edit`";
            return Failure::failed(format!("{} is there already", path.display()), hint);
        }
        let hint = "see whether the folder belongs to you, or name another file in SSO_AGENT_CONFIG";
        Failure::failed(format!("{} cannot be written: {error}", path.display()), hint)
    })
}

/// Stays valid TOML.
fn show(path: &Path, output: &Output) -> Result<(), Failure> {
    let bytes = private::read(path).map_err(|why| {
        Failure::failed(format!("{}: {why}", path.display()), "see what is in the place of the file")
    })?;
    let content = bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes));
    let shown = serde_json::json!({ "path": path, "exists": content.is_some(), "content": content });
    output.result(&shown, || match &content {
        Some(content) => format!("# {}\n\n{content}", path.display()),
        None => format!("# {} is not there; `sso config init` writes it", path.display()),
    })
}

/// What the agent says of the files.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Checked {
    /// Has to be mended.
    problems: Vec<String>,
    /// Other tools' profiles, which only those tools can use.
    remarks: Vec<String>,
}

impl Checked {
    fn new(reload: Option<Error>, profiles: &Profiles) -> Self {
        let of = |source| profiles.profiles.iter().filter(move |profile| profile.source == source);
        let mut problems = profiles.problems.clone();
        if problems.is_empty() {
            problems.extend(reload.map(|error| error.to_string()));
        }
        problems.extend(of(Source::Config).filter_map(line));
        Self { problems, remarks: of(Source::Databrickscfg).filter_map(line).collect() }
    }

    fn words(&self, path: &Path) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            text += &format!("FAIL  {}\n", clean(problem));
        }
        for remark in &self.remarks {
            text += &format!("note  {}\n", clean(remark));
        }
        if self.problems.is_empty() {
            let is_there = if path.exists() { "is in force" } else { "is not there, and need not be" };
            text += &format!("ok    {} {is_there}\n", path.display());
        }
        text
    }
}

fn line(profile: &Profile) -> Option<String> {
    let problem = profile.problem.as_ref()?;
    Some(format!("profile {}: {problem}", profile.name))
}

fn check(path: &Path, output: &Output) -> Result<(), Failure> {
    let mut agent = Agent::connect()?;
    let reload = match agent.reload() {
        Ok(()) => None,
        // It read the files and has something to say about them.
        Err(error) if error.kind().is_some() => Some(error),
        Err(error) => return Err(error.into()),
    };
    let checked = Checked::new(reload, &agent.profiles()?);
    output.result(&checked, || checked.words(path))?;
    if checked.problems.is_empty() { Ok(()) } else { Err(Failure::Silent(FAILED)) }
}

fn edit(path: &Path) -> Result<(), Failure> {
    let named =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|e| !e.is_empty()));
    let editor = named.unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.to_owned());
    let failed = |what: String| Failure::failed(what, "say which one to use in EDITOR");
    let status = command(&editor, path).status();
    let status = status.map_err(|error| failed(format!("the editor {editor:?} cannot be run: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("the editor {editor:?} failed: {status}"))) }
}

/// The variable may hold arguments; it is for a shell, as git has it.
#[cfg(unix)]
fn command(editor: &str, path: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path);
    command
}

/// The variable may hold arguments, and a path with spaces in quotes. Many editors there are scripts.
#[cfg(not(unix))]
fn command(editor: &str, path: &Path) -> Command {
    use crate::programs::{typed, words};
    let mut words = words(editor).into_iter();
    let mut command = Command::new(typed(words.next().unwrap_or_default().as_ref()));
    command.args(words).arg(path);
    command
}
