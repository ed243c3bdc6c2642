//! `devd`: the client. It parses a command line, asks the daemon over its socket, and prints the answer.

mod cli;
mod commands;
mod connect;
mod context;
mod error;
mod exit;
mod follow;
mod http;
mod launch;
mod names;
mod paths;
mod project;
mod pump;
mod redact;
mod render;
mod service;
mod signal;
mod sse;
mod terminal;
mod ui;
mod version;

use context::Context;
use error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let context = Context::new(cli.globals);
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(&context, cli.command));
            // A read of the terminal may still be blocked in a thread; waiting for it would hang.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Error::local(format!("cannot start the runtime: {error}"))),
    };
    outcome.unwrap_or_else(|error| context.ui.report(&error)).into()
}
