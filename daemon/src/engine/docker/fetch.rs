//! Files out of a container, running or not.

use super::link::Connection;
use super::wire::{Call, chunks, unreachable};
use crate::engine::EngineError;
use bollard::query_parameters::InspectContainerOptions;
use futures_util::stream::StreamExt as _;
use globset::{GlobBuilder, GlobMatcher};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// How much of a container is looked through at most, in bytes.
const MOST: usize = 64 << 20;

/// The contents of the regular files at a path, which may have wildcards; relative to the container's working folder.
/// None is an error that says so.
pub(super) async fn fetch(
    connection: &Connection,
    container: &str,
    path: &str,
) -> Result<Vec<Vec<u8>>, EngineError> {
    let found = connection.api.inspect_container(container, None::<InspectContainerOptions>).await?;
    let folder = found.config.and_then(|config| config.working_dir).filter(|folder| !folder.is_empty());
    let wanted = Wanted::new(Path::new(folder.as_deref().unwrap_or("/")), path)?;
    let base = wanted.base.display().to_string();
    let call = Call::get(format!("/containers/{container}/archive")).query(&[("path", base)]);
    let missing = || EngineError::NotFound(format!("there is no {path} in the container"));
    let mut archive = match call.send(&connection.address).await {
        Ok(archive) => chunks(archive),
        Err(EngineError::NotFound(_)) => return Err(missing()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    while let Some(chunk) = archive.next().await {
        bytes.extend_from_slice(&chunk.map_err(unreachable)?);
        if bytes.len() > MOST {
            let message = format!("{} holds more than {} MiB", wanted.base.display(), MOST >> 20);
            return Err(EngineError::Refused(message));
        }
    }
    let files = wanted.files(&bytes).map_err(|error| EngineError::Refused(error.to_string()))?;
    if files.is_empty() { Err(missing()) } else { Ok(files) }
}

/// Which files are asked for.
#[derive(Debug)]
struct Wanted {
    /// What is fetched: the file, or the innermost folder without a wildcard.
    base: PathBuf,
    /// What its files have to match, relative to it.
    pattern: Option<GlobMatcher>,
}

impl Wanted {
    fn new(folder: &Path, path: &str) -> Result<Self, EngineError> {
        let whole = folder.join(path);
        let is_plain =
            |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
        let base: PathBuf = whole.components().take_while(is_plain).collect();
        let rest: PathBuf = whole.components().skip_while(is_plain).collect();
        if rest.as_os_str().is_empty() {
            return Ok(Self { base, pattern: None });
        }
        let glob = GlobBuilder::new(&rest.to_string_lossy()).literal_separator(true).build();
        let glob = glob.map_err(|error| EngineError::Refused(format!("{path} is no pattern: {error}")))?;
        Ok(Self { base, pattern: Some(glob.compile_matcher()) })
    }

    /// Those files of an archive of the base.
    fn files(&self, archive: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut files = Vec::new();
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            // The base itself comes first, under its own name.
            let inside: PathBuf = entry.path()?.components().skip(1).collect();
            let matches = self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&inside));
            if entry.header().entry_type().is_file() && matches {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                files.push(bytes);
            }
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, entries: &[&str]) -> String {
        let mut archive = tar::Builder::new(Vec::new());
        for name in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            archive.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
        let wanted = Wanted::new(Path::new("/app"), path).unwrap();
        let files = wanted.files(&archive.into_inner().unwrap()).unwrap();
        let files: Vec<_> = files.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
        format!("{}: {}", wanted.base.display(), files.join(" "))
    }

    #[test]
    fn a_path_is_one_file_and_a_pattern_many() {
        assert_eq!(found("/tmp/a.xml", &["a.xml"]), "/tmp/a.xml: a.xml");
        assert_eq!(found("out/a.xml", &["a.xml"]), "/app/out/a.xml: a.xml");
        let tree = ["out/a.xml", "out/b.txt", "out/deep/c.xml"];
        assert_eq!(found("out/*.xml", &tree), "/app/out: out/a.xml");
        assert_eq!(found("out/**/*.xml", &tree), "/app/out: out/a.xml out/deep/c.xml");
        assert!(Wanted::new(Path::new("/"), "a[").is_err());
    }
}
