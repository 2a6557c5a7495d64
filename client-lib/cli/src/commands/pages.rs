//! `sso completions` and `sso man`.

use std::path::Path;

use clap::CommandFactory as _;

use crate::{
    args::{self, Cli},
    complete,
    exit::Failure,
    output::Output,
};

pub(super) fn completions(args: &args::Completions, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    complete::script(&args.shell, &mut script)
        .map_err(|error| Failure::failed(format!("no completions for {}: {error}", args.shell), ""))?;
    output.bytes(&script)
}

pub(super) fn man(args: args::Man, output: &Output) -> Result<(), Failure> {
    let command = Cli::command();
    if let Some(folder) = args.dir {
        return clap_mangen::generate_to(command, &folder).map_err(|error| unwritten(&folder, &error));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(|error| unwritten(Path::new("-"), &error))?;
    output.bytes(&page)
}

fn unwritten(folder: &Path, error: &std::io::Error) -> Failure {
    let message = format!("the pages cannot be written to {}: {error}", folder.display());
    Failure::failed(message, "name a folder that is there and writable")
}
