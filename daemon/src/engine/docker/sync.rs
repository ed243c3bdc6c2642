//! Files of the host into a container, without `tar` or a shell in it.

use super::exec::output_of;
use super::link::Connection;
use crate::engine::EngineError;
use crate::engine::spec::ExecSpec;
use crate::park;
use bollard::query_parameters::UploadToContainerOptions;
use std::io;
use std::path::PathBuf;
use tar::{Builder, Header};

/// Exit codes of a program that did not get to its work.
const NOT_ITS_WORK: i64 = 125;
const NOT_EXECUTABLE: i64 = 126;
const NOT_FOUND: i64 = 127;

pub(super) async fn sync(
    connection: &Connection,
    container: &str,
    files: &[(PathBuf, String)],
) -> Result<(), EngineError> {
    let there = files.to_vec();
    let packed = tokio::task::spawn_blocking(move || pack(&there)).await;
    let packed = packed.map_err(io::Error::other).flatten();
    let (archive, gone) =
        packed.map_err(|error| EngineError::Refused(format!("cannot read what changed: {error}")))?;
    if let Some(archive) = archive {
        let options = UploadToContainerOptions { path: "/".to_owned(), ..Default::default() };
        let body = bollard::body_full(archive.into());
        connection.api.upload_to_container(container, Some(options), body).await?;
    }
    if !gone.is_empty() {
        remove(connection, container, &gone).await?;
    }
    Ok(())
}

/// Removes files in a running container: by the park, which needs nothing of the image, or else by what the image has.
async fn remove(connection: &Connection, container: &str, gone: &[String]) -> Result<(), EngineError> {
    let mut said = String::new();
    for program in [&[park::PATH, "remove", "--"][..], &["rm", "-rf", "--"]] {
        let cmd = program.iter().copied().map(str::to_owned).chain(gone.iter().cloned()).collect();
        let spec = ExecSpec { cmd, user: Some("0".to_owned()), ..ExecSpec::default() };
        let (code, output) = output_of(connection, container, spec, true).await?;
        said = String::from_utf8_lossy(&output).trim().to_owned();
        match code {
            0 => return Ok(()),
            // It is not there, or one of an older devd is.
            NOT_ITS_WORK | NOT_EXECUTABLE | NOT_FOUND => {}
            _ => break,
        }
    }
    Err(EngineError::Refused(format!("cannot remove deleted files in the container: {said}")))
}

/// An archive of the files that are there, and the paths in the container of those that are not.
fn pack(files: &[(PathBuf, String)]) -> io::Result<(Option<Vec<u8>>, Vec<String>)> {
    let mut archive = Builder::new(Vec::new());
    let (mut gone, mut any) = (Vec::new(), false);
    for (source, target) in files {
        let found = match source.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                gone.push(target.clone());
                continue;
            }
            Err(error) => return Err(error),
        };
        let inside = target.trim_start_matches('/');
        let mut header = Header::new_gnu();
        header.set_metadata(&found);
        // Owners of the host mean nothing in the container.
        header.set_uid(0);
        header.set_gid(0);
        if found.is_symlink() {
            header.set_size(0);
            archive.append_link(&mut header, inside, std::fs::read_link(source)?)?;
        } else if found.is_file() {
            // Read whole: a file that grows while it is sent would break the archive.
            let bytes = std::fs::read(source)?;
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, inside, bytes.as_slice())?;
        } else {
            continue;
        }
        any = true;
    }
    let archive = archive.into_inner()?;
    Ok((any.then_some(archive), gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_packed_and_what_is_not_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a b.py"), "one").unwrap();
        let files = [
            (dir.path().join("a b.py"), "/app/a b.py".to_owned()),
            (dir.path().join("gone.py"), "/app/gone.py".to_owned()),
        ];
        let (archive, gone) = pack(&files).unwrap();
        assert_eq!(gone, ["/app/gone.py"]);
        let archive = archive.unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let names: Vec<_> =
            archive.entries().unwrap().map(|it| it.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [PathBuf::from("app/a b.py")]);
    }
}
