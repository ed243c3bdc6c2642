//! Prints a project as devd understands it: `cargo run --example config -- FILE…` (or a folder). `--yaml` prints YAML, and
//! `--hash` the config hash of each service.
//!
//! The environment is empty apart from `HOME`, `PATH` and what `--env NAME=VALUE` sets, so that two machines print the same.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::path::PathBuf;
use std::process::ExitCode;

use devd_compose::{Options, load, printed_config_hash, to_json, to_yaml};

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let yaml = args.iter().any(|arg| arg == "--yaml");
    let hash = args.iter().any(|arg| arg == "--hash");
    let is_flag = |arg: &String| matches!(arg.as_str(), "--yaml" | "--env" | "--hash");
    args.retain(|arg| !is_flag(arg));
    let mut options = Options { dir: std::env::current_dir().unwrap_or_default(), ..Options::default() };
    for arg in args {
        if let Some((name, value)) = arg.split_once('=') {
            options.env.insert(name.to_owned(), value.to_owned());
            continue;
        }
        let path = PathBuf::from(arg);
        if path.is_dir() {
            options.dir = options.dir.join(path);
        } else {
            options.files.push(path);
        }
    }
    for name in ["HOME", "PATH"] {
        if let Ok(value) = std::env::var(name) {
            options.env.insert(name.to_owned(), value);
        }
    }
    match load(&options) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}\n");
            }
            if hash {
                for (name, service) in &loaded.project.services {
                    println!("{name} {}", printed_config_hash(service));
                }
            } else if yaml {
                print!("{}", to_yaml(&loaded.project));
            } else {
                println!("{:#}", to_json(&loaded.project));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
