//! Secrets and configs that are no files of the host: their text is put into the container before it starts.

use super::link::Connection;
use crate::engine::EngineError;
use bollard::query_parameters::UploadToContainerOptions;
use devd_compose::model::{Grant, Service};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};
use tar::{Builder, Header};

/// Readable for everybody in the container, as compose has it.
const MODE: u32 = 0o444;

/// A file to be.
pub(super) struct Content {
    path: String,
    text: String,
    uid: u64,
    gid: u64,
    mode: u32,
}

/// What a service is given as text.
pub(super) fn of(service: &Service) -> Result<Vec<Content>, EngineError> {
    let secrets = service.secrets.iter().map(|grant| (grant, "/run/secrets"));
    let configs = service.configs.iter().map(|grant| (grant, ""));
    // What is mounted by hand was meant.
    let by_hand =
        |grant: &Grant, folder| service.volumes.iter().any(|mount| mount.target == grant.place(folder));
    secrets
        .chain(configs)
        .filter(|(grant, folder)| !by_hand(grant, folder))
        .filter_map(|(grant, folder)| content(grant, folder).transpose())
        .collect()
}

fn content(grant: &Grant, folder: &str) -> Result<Option<Content>, EngineError> {
    let Some(text) = grant.content.clone().filter(|_| grant.file.as_os_str().is_empty()) else {
        return Ok(None);
    };
    let number = |what: &str, text: Option<&String>| match text.map(|text| text.parse()) {
        None => Ok(0),
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) => Err(EngineError::Refused(format!("the {what} of {} must be a number", grant.source))),
    };
    let mode = match grant.mode.as_deref().map(|text| u32::from_str_radix(text, 8)) {
        None => MODE,
        Some(Ok(mode)) => mode,
        Some(Err(_)) => {
            return Err(EngineError::Refused(format!("the mode of {} is not one", grant.source)));
        }
    };
    let (uid, gid) = (number("uid", grant.uid.as_ref())?, number("gid", grant.gid.as_ref())?);
    Ok(Some(Content { path: grant.place(folder), text, uid, gid, mode }))
}

/// Puts them into a container that does not run yet. What is there already is replaced.
pub(super) async fn put(
    connection: &Connection,
    container: &str,
    contents: &[Content],
) -> Result<(), EngineError> {
    if contents.is_empty() {
        return Ok(());
    }
    let archive = pack(contents).map_err(|error| EngineError::Refused(error.to_string()))?;
    // The owner is that of the archive: with `copyUIDGID`, which compose uses, it would be the user of the container,
    // whom the engine looks up on the host.
    let options = UploadToContainerOptions {
        path: "/".to_owned(),
        no_overwrite_dir_non_dir: Some("true".to_owned()),
        ..Default::default()
    };
    let body = bollard::body_full(archive.into());
    let put = connection.api.upload_to_container(container, Some(options), body).await;
    put.map_err(|error| match EngineError::from(error) {
        EngineError::NotFound(message) | EngineError::Refused(message) => {
            let paths: Vec<&str> = contents.iter().map(|content| content.path.as_str()).collect();
            EngineError::Refused(format!("cannot put {} into the container: {message}", paths.join(", ")))
        }
        error @ (EngineError::Unreachable(_) | EngineError::BuildFailed { .. }) => error,
    })
}

fn pack(contents: &[Content]) -> io::Result<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut archive = Builder::new(Vec::new());
    for content in contents {
        let mut header = Header::new_gnu();
        header.set_size(content.text.len() as u64);
        header.set_mode(content.mode);
        header.set_uid(content.uid);
        header.set_gid(content.gid);
        header.set_mtime(now);
        let inside = content.path.trim_start_matches('/');
        archive.append_data(&mut header, inside, content.text.as_bytes())?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn grant(source: &str, content: &str) -> Grant {
        Grant { source: source.to_owned(), content: Some(content.to_owned()), ..Grant::default() }
    }

    #[test]
    fn what_is_text_is_packed_with_its_owner_and_mode() {
        let owned = Grant {
            target: Some("/etc/app.conf".to_owned()),
            uid: Some("5".to_owned()),
            gid: Some("6".to_owned()),
            mode: Some("0400".to_owned()),
            ..grant("conf", "a=1\n")
        };
        let file = Grant { file: "/home/me/x".into(), ..grant("file", "not this") };
        let service = Service {
            secrets: vec![grant("token", "hush"), file],
            configs: vec![owned, grant("plain", "")],
            ..Service::default()
        };
        let archive = pack(&of(&service).unwrap()).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let found: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                let (header, path) = (entry.header(), entry.path().unwrap().display().to_string());
                let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
                format!("{path} {uid}:{gid} {:o} {text:?}", header.mode().unwrap())
            })
            .collect();
        let expected =
            ["run/secrets/token 0:0 444 \"hush\"", "etc/app.conf 5:6 400 \"a=1\\n\"", "plain 0:0 444 \"\""];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_error_does_not_tell_the_text() {
        let service = Service {
            secrets: vec![Grant { uid: Some("root".to_owned()), ..grant("token", "hush") }],
            ..Service::default()
        };
        let error = of(&service).err().unwrap().to_string();
        assert_eq!(error, "the uid of token must be a number");
    }
}
