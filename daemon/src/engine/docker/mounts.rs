//! What is mounted into a container, in the engine's words.

use super::api::{Api, V25, V26, V28};
use super::host::some_map;
use crate::engine::EngineError;
use bollard::models::{
    HostConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountImageOptions,
    MountTmpfsOptions, MountType, MountVolumeOptions,
};
use devd_compose::model::{self, MountKind};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    str::FromStr,
};

/// What a service mounts, as far as a container's configuration says it.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    binds: Vec<String>,
    mounts: Vec<Mount>,
    tmpfs: HashMap<String, String>,
    /// Folders to make before the container is, where the engine would not.
    pub(super) folders: Vec<PathBuf>,
}

impl Mounts {
    /// Translates. `volumes` are the engine names of the volumes by their keys in the files.
    pub(super) fn new(
        service: &model::Service,
        volumes: &BTreeMap<String, String>,
        api: Api,
    ) -> Result<Self, EngineError> {
        let mut mounts = Self::default();
        for text in &service.tmpfs {
            let (path, options) = text.split_once(':').unwrap_or((text, ""));
            mounts.tmpfs.insert(path.to_owned(), options.to_owned());
        }
        for mount in service.mounts() {
            mounts.add(&mount, volumes, api)?;
        }
        Ok(mounts)
    }

    /// Writes them down.
    pub(super) fn fill(self, host: &mut HostConfig) {
        host.binds = (!self.binds.is_empty()).then_some(self.binds);
        host.mounts = (!self.mounts.is_empty()).then_some(self.mounts);
        host.tmpfs = (!self.tmpfs.is_empty()).then_some(self.tmpfs);
    }

    fn add(
        &mut self,
        mount: &model::Mount,
        volumes: &BTreeMap<String, String>,
        api: Api,
    ) -> Result<(), EngineError> {
        let field = |name: &str| format!("`{name}` of the mount at {}", mount.target);
        match &mount.kind {
            MountKind::Bind { source, create_host_path, propagation, selinux, recursive } => {
                let text = utf8(source)?;
                // As compose decides it. A colon ends a path in the short form. Docker's short form makes a missing folder, the
                // long does not; only the short one knows of SELinux.
                let plain = (recursive.is_none() && propagation.is_none()) || selinux.is_some();
                let short = plain && !text.contains(':') && !mount.target.contains(':');
                if *create_host_path && short {
                    let options = [selinux.as_deref(), propagation.as_deref()];
                    self.binds.push(bind(text, mount, &options));
                    return Ok(());
                }
                if matches!(recursive.as_deref(), Some("writable" | "readonly")) {
                    api.takes(V25, &field("bind.recursive"))?;
                }
                if *create_host_path {
                    self.folders.push(source.clone());
                }
                self.mounts.push(Mount {
                    source: Some(text.to_owned()),
                    bind_options: bind_options(propagation.as_deref(), recursive.as_deref())?,
                    ..of(mount, MountType::BIND)
                });
            }
            MountKind::Volume { source: Some(key), nocopy: false, subpath: None, labels }
                if labels.is_empty() && !mount.target.contains(':') =>
            {
                self.binds.push(bind(volumes.get(key).unwrap_or(key), mount, &[]));
            }
            MountKind::Volume { source, nocopy, subpath, labels } => {
                if subpath.is_some() {
                    api.takes(V26, &field("volume.subpath"))?;
                }
                let name = source.as_ref().map(|key| volumes.get(key).unwrap_or(key).clone());
                let options = MountVolumeOptions {
                    no_copy: nocopy.then_some(true),
                    subpath: subpath.clone(),
                    labels: some_map(labels),
                    ..Default::default()
                };
                let said = *nocopy || subpath.is_some() || !labels.is_empty();
                self.mounts.push(Mount {
                    source: name,
                    volume_options: said.then_some(options),
                    ..of(mount, MountType::VOLUME)
                });
            }
            MountKind::Tmpfs { size, mode } => {
                let options = MountTmpfsOptions {
                    size_bytes: size.and_then(|size| i64::try_from(size).ok()),
                    mode: mode.map(i64::from),
                    ..Default::default()
                };
                self.mounts.push(Mount { tmpfs_options: Some(options), ..of(mount, MountType::TMPFS) });
            }
            MountKind::Image { source, subpath } => {
                api.takes(V28, &field("type: image"))?;
                let options = MountImageOptions { subpath: subpath.clone() };
                self.mounts.push(Mount {
                    source: Some(source.clone()),
                    image_options: subpath.is_some().then_some(options),
                    ..of(mount, MountType::IMAGE)
                });
            }
            // They are refused when the files are read.
            MountKind::Pipe { .. } | MountKind::Cluster { .. } => {
                let message = format!("no engine on Linux makes mounts of type `{}`", mount.kind.word());
                return Err(EngineError::Refused(message));
            }
        }
        Ok(())
    }
}

fn of(mount: &model::Mount, kind: MountType) -> Mount {
    Mount {
        target: Some(mount.target.clone()),
        typ: Some(kind),
        read_only: mount.read_only.then_some(true),
        ..Default::default()
    }
}

fn bind(source: &str, mount: &model::Mount, options: &[Option<&str>]) -> String {
    let access = if mount.read_only { "ro" } else { "rw" };
    let options = options.iter().flatten().fold(access.to_owned(), |all, option| format!("{all},{option}"));
    format!("{source}:{}:{options}", mount.target)
}

fn bind_options(
    propagation: Option<&str>,
    recursive: Option<&str>,
) -> Result<Option<MountBindOptions>, EngineError> {
    let refuse = |text| EngineError::Refused(format!("`{text}` is not a way to propagate mounts"));
    let parse = |text| MountBindOptionsPropagationEnum::from_str(text).map_err(|_| refuse(text));
    let options = MountBindOptions {
        propagation: propagation.map(parse).transpose()?,
        non_recursive: (recursive == Some("disabled")).then_some(true),
        read_only_non_recursive: (recursive == Some("writable")).then_some(true),
        read_only_force_recursive: (recursive == Some("readonly")).then_some(true),
        ..Default::default()
    };
    Ok((options != MountBindOptions::default()).then_some(options))
}

fn utf8(path: &Path) -> Result<&str, EngineError> {
    // The API is JSON: it has no way to say it.
    let refuse =
        || EngineError::Refused(format!("{} cannot be mounted: its name is not UTF-8", path.display()));
    path.to_str().ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::model::Service;

    fn mounts(kinds: Vec<(&str, bool, MountKind)>) -> Mounts {
        let volumes = kinds
            .into_iter()
            .map(|(target, read_only, kind)| model::Mount { read_only, ..model::Mount::new(target, kind) });
        let service = Service {
            volumes: volumes.collect(),
            tmpfs: vec!["/run:size=1m,uid=3".into(), "/t".into()],
            ..Default::default()
        };
        Mounts::new(&service, &BTreeMap::from([("data".to_owned(), "shop_data".to_owned())]), V28).unwrap()
    }

    fn from(source: &str, create_host_path: bool) -> MountKind {
        let (propagation, selinux) = (Some("rslave".to_owned()), Some("z".to_owned()));
        MountKind::Bind { source: source.into(), create_host_path, propagation, selinux, recursive: None }
    }

    fn volume(source: Option<&str>, nocopy: bool) -> MountKind {
        let source = source.map(str::to_owned);
        MountKind::Volume { source, nocopy, subpath: None, labels: BTreeMap::new() }
    }

    fn first(kind: MountKind, api: Api) -> Result<serde_json::Value, String> {
        let service = Service { volumes: vec![model::Mount::new("/m", kind)], ..Default::default() };
        let mounts = Mounts::new(&service, &BTreeMap::new(), api).map_err(|error| error.to_string())?;
        Ok(serde_json::to_value(&mounts.mounts[0]).unwrap())
    }

    #[test]
    fn what_the_short_form_cannot_say_takes_the_long_one() {
        let bind = |word: &str| MountKind::Bind {
            source: "/src".into(),
            create_host_path: true,
            propagation: None,
            selinux: None,
            recursive: Some(word.to_owned()),
        };
        for (word, option) in [
            ("disabled", "NonRecursive"),
            ("writable", "ReadOnlyNonRecursive"),
            ("readonly", "ReadOnlyForceRecursive"),
        ] {
            let options = &first(bind(word), V25).unwrap()["BindOptions"];
            assert_eq!(*options, serde_json::json!({ option: true }));
        }
        assert!(first(bind("enabled"), V25).unwrap()["BindOptions"].is_null());
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let named = MountKind::Volume { source: Some("v".to_owned()), nocopy: false, subpath: None, labels };
        assert_eq!(
            first(named, V25).unwrap()["VolumeOptions"],
            serde_json::json!({ "Labels": { "a": "b" } })
        );
        let image = MountKind::Image { source: "x:1".to_owned(), subpath: Some("etc".to_owned()) };
        let expected = serde_json::json!({ "Type": "image", "Source": "x:1", "Target": "/m", "ImageOptions": { "Subpath": "etc" } });
        assert_eq!(first(image.clone(), V28), Ok(expected));

        let old = Api(1, 41);
        let refusal = |kind| first(kind, old).unwrap_err();
        let labels = BTreeMap::new();
        let part = MountKind::Volume { source: None, nocopy: false, subpath: Some("p".to_owned()), labels };
        assert!(first(bind("disabled"), old).is_ok());
        assert!(
            refusal(bind("readonly")).starts_with("`bind.recursive` of the mount at /m needs an engine with")
        );
        assert!(refusal(image).starts_with("`type: image` of the mount at /m needs an engine with API 1.48"));
        assert!(refusal(part).starts_with("`volume.subpath` of the mount at /m needs"));
    }

    #[test]
    fn the_form_follows_the_path() {
        let mounts = mounts(vec![
            ("/app", false, from("/home/me/Service 1", true)),
            ("/c", true, from("/home/me/a:b", true)),
            ("/d", false, from("/must exist", false)),
            ("/data", true, volume(Some("data"), false)),
            ("/kept", true, volume(Some("data"), true)),
            ("/anonymous", false, volume(None, false)),
            ("/memory", false, MountKind::Tmpfs { size: Some(64), mode: Some(1777) }),
        ]);
        assert_eq!(mounts.folders, [PathBuf::from("/home/me/a:b")]);
        let mut host = HostConfig::default();
        mounts.fill(&mut host);
        assert_eq!(
            serde_json::to_value(&host).unwrap(),
            serde_json::json!({
                "Binds": ["/home/me/Service 1:/app:rw,z,rslave", "shop_data:/data:ro"],
                "Mounts": [
                    { "Type": "bind", "Source": "/home/me/a:b", "Target": "/c", "ReadOnly": true,
                      "BindOptions": { "Propagation": "rslave" } },
                    { "Type": "bind", "Source": "/must exist", "Target": "/d",
                      "BindOptions": { "Propagation": "rslave" } },
                    { "Type": "volume", "Source": "shop_data", "Target": "/kept", "ReadOnly": true,
                      "VolumeOptions": { "NoCopy": true } },
                    { "Type": "volume", "Target": "/anonymous" },
                    { "Type": "tmpfs", "Target": "/memory", "TmpfsOptions": { "SizeBytes": 64, "Mode": 1777 } },
                ],
                "Tmpfs": { "/run": "size=1m,uid=3", "/t": "" },
            })
        );
    }
}
