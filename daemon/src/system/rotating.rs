//! A file that does not grow for ever: at a size it becomes the first of a few older ones, and the oldest goes.

use super::paths::private_file;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How large it becomes.
const MOST: u64 = 4 << 20;
/// How many older ones there are beside it.
const OLDER: u32 = 3;

/// The file that is written to. A write is one or more whole lines, and stays in one file.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    size: u64,
    most: u64,
}

impl Rotating {
    /// Goes on with the file at a path.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with(path, MOST)
    }

    fn with(path: &Path, most: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, most })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..OLDER).rev() {
            match fs::rename(older(&self.path, number), older(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, older(&self.path, 1))?;
        self.file = append_to(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

/// The path of an older one, from 1.
fn older(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn append_to(path: &Path) -> io::Result<File> {
    private_file(path, OpenOptions::new().append(true))
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len() as u64;
        if self.size > 0 && self.size + length > self.most && self.rotate().is_err() {
            // It can't be renamed, so it is begun anew: what is new is worth more than what is old.
            self.file.set_len(0)?;
            self.size = 0;
        }
        self.file.write_all(bytes)?;
        self.size += length;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(path: &Path) -> Vec<String> {
        let mut found: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        found.iter().map(|path| fs::read_to_string(path).unwrap().replace('\n', " ")).collect()
    }

    #[test]
    fn the_log_grew_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devdd.log");
        let mut log = Rotating::with(&path, 10).unwrap();
        for number in 0..20 {
            log.write_all(format!("{number:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(contents(&path), ["0018 0019 ", "0016 0017 ", "0014 0015 ", "0012 0013 "]);
    }

    #[test]
    fn what_an_earlier_daemon_wrote_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devdd.log");
        Rotating::with(&path, 10).unwrap().write_all(b"0001\n0002\n").unwrap();
        Rotating::with(&path, 10).unwrap().write_all(b"0003\n").unwrap();
        assert_eq!(contents(&path), ["0003 ", "0001 0002 "]);
    }

    #[test]
    fn a_line_longer_than_the_file_is_written_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devdd.log");
        let mut log = Rotating::with(&path, 10).unwrap();
        log.write_all(b"a line that is longer\n").unwrap();
        log.write_all(b"b\n").unwrap();
        assert_eq!(contents(&path), ["b ", "a line that is longer "]);
    }

    #[test]
    fn a_log_that_cannot_be_rotated_does_not_grow_either() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("devdd.log");
        // A folder in the way, which no file can take the place of.
        fs::create_dir_all(older(&path, 1).join("in the way")).unwrap();
        fs::create_dir_all(older(&path, 2).join("in the way")).unwrap();
        let mut log = Rotating::with(&path, 10).unwrap();
        for number in 0..5 {
            log.write_all(format!("{number:04}\n").as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "0004\n");
    }
}
