//! What each command does.

mod agent;
mod app;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod exec;
mod import;
mod lock;
mod login;
mod logout;
mod metadata;
mod pages;
mod secrets;
mod shim;
mod status;
mod table;
mod time;
mod token;
mod watch;

use crate::{
    args::{Command, Which},
    exit::Failure,
    output::Output,
};

pub(crate) fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Login(args) => login::run(args, output),
        Command::Token(args) => token::run(args, output),
        Command::Status(args) => status::run(args, output),
        Command::Logout(args) => logout::run(args, output),
        Command::Lock => lock::lock(output),
        Command::Unlock => lock::unlock(output),
        Command::Exec(args) => exec::run(args, output),
        Command::Env(args) => metadata::env(args, output),
        Command::MetadataUrl(args) => metadata::url(args, output),
        Command::Import(args) => import::run(args, output),
        Command::App(command) => app::run(command, output),
        Command::Config(command) => config::run(&command, output),
        Command::Agent(command) => agent::run(command, output),
        Command::Shim(command) => shim::run(command, output),
        Command::Doctor => doctor::run(output),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args, output),
        Command::Completions(args) => pages::completions(&args, output),
        Command::Man(args) => pages::man(args, output),
    }
}

/// What the command line means, or the environment where it says nothing.
fn resolved(which: Which) -> Which {
    which.or_environment(|name| std::env::var_os(name))
}
