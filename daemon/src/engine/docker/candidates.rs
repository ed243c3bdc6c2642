//! Where an engine might be.

use crate::engine::spec::Candidate;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What the search for an engine depends on.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment.
    pub vars: BTreeMap<String, String>,
    /// The user's home.
    pub home: Option<PathBuf>,
    /// The user's id.
    pub uid: u32,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let vars = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self { vars: vars.collect(), home: std::env::home_dir(), uid: rustix::process::getuid().as_raw() }
    }

    /// `~/.docker`, or what `DOCKER_CONFIG` says.
    pub(super) fn config_dir(&self) -> Option<PathBuf> {
        self.var("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(self.home.as_ref()?.join(".docker")))
    }

    /// An empty variable counts as none.
    fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Where an engine might be, most likely first.
///
/// Whoever names one, by `DOCKER_HOST` or a context, means that one: no other is a candidate then. A context that is
/// not defined has no endpoint.
pub fn candidates(surroundings: &Surroundings) -> Vec<Candidate> {
    if let Some(host) = surroundings.var("DOCKER_HOST") {
        return vec![from_host(surroundings, host)];
    }
    let config_dir = surroundings.config_dir();
    let context = match surroundings.var("DOCKER_CONTEXT") {
        Some(name) => Some(name.to_owned()),
        None => config_dir.as_deref().and_then(current_context),
    };
    match (context, config_dir) {
        (Some(name), Some(dir)) if name != "default" => vec![from_context(&dir, &name)],
        _ => well_known(surroundings),
    }
}

fn from_host(surroundings: &Surroundings, host: &str) -> Candidate {
    let tls = surroundings.var("DOCKER_TLS_VERIFY").is_some() || surroundings.var("DOCKER_TLS").is_some();
    let folder =
        || surroundings.var("DOCKER_CERT_PATH").map(PathBuf::from).or_else(|| surroundings.config_dir());
    Candidate {
        endpoint: host.to_owned(),
        why: "DOCKER_HOST".to_owned(),
        certificates: if tls { folder() } else { None },
    }
}

fn current_context(config_dir: &Path) -> Option<String> {
    let config = json(&config_dir.join("config.json"))?;
    config.get("currentContext")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

fn from_context(config_dir: &Path, name: &str) -> Candidate {
    // Docker names the folder after the digest, so that any name will do.
    let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let contexts = config_dir.join("contexts");
    let meta = json(&contexts.join("meta").join(&digest).join("meta.json"));
    let endpoint = meta.as_ref().and_then(|meta| meta.get("Endpoints")?.get("docker")?.get("Host")?.as_str());
    let certificates = contexts.join("tls").join(&digest).join("docker");
    Candidate {
        endpoint: endpoint.unwrap_or_default().to_owned(),
        why: format!("context {name}"),
        certificates: certificates.is_dir().then_some(certificates),
    }
}

fn well_known(surroundings: &Surroundings) -> Vec<Candidate> {
    let runtime = match surroundings.var("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => PathBuf::from(format!("/run/user/{}", surroundings.uid)),
    };
    let mut sockets = vec![
        (PathBuf::from("/var/run/docker.sock"), "Docker"),
        (runtime.join("docker.sock"), "rootless Docker"),
        (PathBuf::from("/run/podman/podman.sock"), "Podman"),
        (runtime.join("podman/podman.sock"), "rootless Podman"),
    ];
    if let Some(home) = &surroundings.home {
        let in_home = [
            (".docker/run/docker.sock", "Docker Desktop"),
            (".docker/desktop/docker.sock", "Docker Desktop for Linux"),
            (".colima/default/docker.sock", "Colima"),
            (".config/colima/default/docker.sock", "Colima"),
            (".orbstack/run/docker.sock", "OrbStack"),
            (".rd/docker.sock", "Rancher Desktop"),
            (".lima/default/sock/docker.sock", "Lima"),
            (".lima/docker/sock/docker.sock", "Lima"),
        ];
        sockets.extend(in_home.map(|(path, why)| (home.join(path), why)));
    }
    let candidate = |(path, why): (PathBuf, &str)| Candidate {
        endpoint: format!("unix://{}", path.display()),
        why: format!("{why}'s usual socket"),
        certificates: None,
    };
    sockets.into_iter().map(candidate).collect()
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(home: &Path, vars: &[(&str, &str)]) -> Surroundings {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Surroundings { vars, home: Some(home.to_owned()), uid: 1000 }
    }

    fn endpoints(candidates: &[Candidate]) -> Vec<(&str, &str)> {
        candidates.iter().map(|candidate| (candidate.endpoint.as_str(), candidate.why.as_str())).collect()
    }

    fn context(home: &Path, name: &str, host: &str) -> PathBuf {
        let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = home.join(".docker/contexts/meta").join(&digest);
        std::fs::create_dir_all(&folder).unwrap();
        let meta = serde_json::json!({ "Name": name, "Endpoints": { "docker": { "Host": host } } });
        std::fs::write(folder.join("meta.json"), meta.to_string()).unwrap();
        home.join(".docker/contexts/tls").join(digest).join("docker")
    }

    #[test]
    fn docker_host_is_meant() {
        let home = tempfile::tempdir().unwrap();
        let found = candidates(&surroundings(home.path(), &[("DOCKER_HOST", "tcp://far:2375")]));
        assert_eq!(endpoints(&found), [("tcp://far:2375", "DOCKER_HOST")]);
        assert_eq!(found[0].certificates, None);
        let tls =
            [("DOCKER_HOST", "tcp://far:2376"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/certs")];
        assert_eq!(
            candidates(&surroundings(home.path(), &tls))[0].certificates,
            Some(PathBuf::from("/certs"))
        );
    }

    #[test]
    fn contexts_are_read() {
        let home = tempfile::tempdir().unwrap();
        let certificates = context(home.path(), "colima", "unix:///colima.sock");
        std::fs::write(home.path().join(".docker/config.json"), r#"{"currentContext": "colima"}"#).unwrap();
        let found = candidates(&surroundings(home.path(), &[("DOCKER_HOST", "")]));
        assert_eq!(endpoints(&found), [("unix:///colima.sock", "context colima")]);
        assert_eq!(found[0].certificates, None);
        std::fs::create_dir_all(&certificates).unwrap();
        assert_eq!(candidates(&surroundings(home.path(), &[]))[0].certificates, Some(certificates));
        let unknown = candidates(&surroundings(home.path(), &[("DOCKER_CONTEXT", "gone")]));
        assert_eq!(endpoints(&unknown), [("", "context gone")]);
        let default = candidates(&surroundings(home.path(), &[("DOCKER_CONTEXT", "default")]));
        assert_eq!(default[0].endpoint, "unix:///var/run/docker.sock");
    }

    #[test]
    fn the_usual_sockets_come_last() {
        let found = candidates(&surroundings(Path::new("/home/me"), &[]));
        let found = endpoints(&found);
        assert_eq!(
            found[..4],
            [
                ("unix:///var/run/docker.sock", "Docker's usual socket"),
                ("unix:///run/user/1000/docker.sock", "rootless Docker's usual socket"),
                ("unix:///run/podman/podman.sock", "Podman's usual socket"),
                ("unix:///run/user/1000/podman/podman.sock", "rootless Podman's usual socket"),
            ]
        );
        for part in ["colima", "orbstack", ".rd/", ".lima", ".docker/run", ".docker/desktop"] {
            assert!(found.iter().any(|(endpoint, _)| endpoint.contains(part)), "{part}");
        }
    }
}
