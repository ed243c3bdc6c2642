//! `devd daemon logs`

use crate::error::Error;
use crate::exit::Exit;
use crate::paths;
use crate::service::systemd;
use crate::ui::Ui;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The daemon's log in the state folder; older ones are beside it as `devdd.log.1` and so on.
pub(in crate::commands) const FILE: &str = "devdd.log";

pub(super) async fn run(follow: bool, tail: u32) -> Result<Exit, Error> {
    if systemd::keeps(&paths::socket()?).await {
        let mut command = Command::new("journalctl");
        let tail = tail.to_string();
        command.args(["--user", "--unit", systemd::SERVICE, "--output", "short-iso", "--lines", &tail]);
        if follow {
            command.arg("--follow");
        }
        return Err(replaced_by(command));
    }
    let file = paths::state()?.join(FILE);
    let (text, read) = last_lines(&file, tail as usize).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            return Error::local(format!("there is no log: {} does not exist", file.display()))
                .help("it is written when the daemon starts");
        }
        Error::local(format!("cannot read {}: {error}", file.display()))
    })?;
    Ui::new(false).bytes(&text)?;
    if !follow {
        return Ok(Exit::OK);
    }
    // It waits for more without asking again and again, and goes on with the file that takes this one's place.
    let mut command = Command::new("tail");
    command.arg("-c").arg(format!("+{}", read + 1)).arg("-F").arg(file);
    Err(replaced_by(command))
}

fn replaced_by(mut command: Command) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    Error::local(format!("cannot run {program}: {}", command.exec()))
}

/// The last lines of a file and of the older ones beside it, and how many bytes of the file were read.
pub(in crate::commands) fn last_lines(file: &Path, count: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut text = fs::read(file)?;
    let read = text.len() as u64;
    let mut number = 1;
    while text.iter().filter(|byte| **byte == b'\n').count() < count {
        let mut older = file.as_os_str().to_owned();
        older.push(format!(".{number}"));
        match fs::read(PathBuf::from(older)) {
            Ok(mut before) => {
                before.extend_from_slice(&text);
                text = before;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
        number += 1;
    }
    let ends: Vec<usize> =
        text.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    // What follows the last end of a line is a line as well.
    let lines = ends.len() + usize::from(ends.last() != Some(&text.len()) && !text.is_empty());
    let start = match lines.checked_sub(count) {
        None | Some(0) => 0,
        Some(surplus) => ends.get(surplus - 1).copied().unwrap_or(text.len()),
    };
    Ok((text.split_off(start), read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_before_a_rotation_were_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let last = |count| {
            let (text, read) = last_lines(&file, count).unwrap();
            (String::from_utf8(text).unwrap(), read)
        };
        fs::write(&file, "e\nf\n").unwrap();
        fs::write(dir.path().join("devdd.log.1"), "c\nd\n").unwrap();
        fs::write(dir.path().join("devdd.log.2"), "a\nb\n").unwrap();
        assert_eq!(last(1), ("f\n".to_owned(), 4));
        assert_eq!(last(2), ("e\nf\n".to_owned(), 4));
        assert_eq!(last(3), ("d\ne\nf\n".to_owned(), 4));
        assert_eq!(last(100), ("a\nb\nc\nd\ne\nf\n".to_owned(), 4));
        fs::write(&file, "e\nf\nhalf").unwrap();
        assert_eq!(last(2), ("f\nhalf".to_owned(), 8));
        assert_eq!(last(0), (String::new(), 8));
        fs::write(&file, "").unwrap();
        assert_eq!(last(1), ("d\n".to_owned(), 0));
    }
}
