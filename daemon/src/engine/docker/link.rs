//! Finding an engine, and keeping in touch with it for as long as anybody asks.

use super::api::Api;
use super::candidates::{Surroundings, candidates};
use super::ending::Ending;
use super::lease::Lease;
use super::wire::Address;
use super::{Owners, events};
use crate::engine::{EngineChange, spec::Candidate};
use bollard::API_DEFAULT_VERSION;
use devd_proto::{EngineState, EngineStatus};
use std::{fmt::Write, io, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

/// How long one place may take to say what it is.
const KNOCK: Duration = Duration::from_secs(5);

/// How long to wait before looking again: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An engine that hangs up sooner is not looked for at once: it would go on like that.
const STABLE: Duration = Duration::from_secs(1);

/// For so long only the engine that was lost is looked for. One that restarts must not be mistaken for gone while
/// another one happens to answer.
const LOYALTY: Duration = Duration::from_secs(30);

/// How long a normal call may take. Engines are slow when their disks are.
const NORMAL: u64 = 120;

/// What takes its time: stopping, by a grace period that the user chose.
const SLOW: u64 = 24 * 60 * 60;

/// Where things stand between us and the engine.
#[derive(Clone)]
pub(super) struct Link {
    /// For people.
    pub(super) status: EngineStatus,
    /// The engine, while it answers.
    pub(super) connection: Option<Arc<Connection>>,
    /// An engine has been looked for.
    pub(super) tried: bool,
}

impl Default for Link {
    fn default() -> Self {
        let status = EngineStatus {
            state: EngineState::Disconnected,
            kind: String::new(),
            version: String::new(),
            endpoint: String::new(),
            error: None,
        };
        Self { status, connection: None, tried: false }
    }
}

/// An engine that has answered.
pub(super) struct Connection {
    /// For questions with an answer.
    pub(super) api: bollard::Docker,
    /// The same, for what may take as long as it likes.
    pub(super) slow: bollard::Docker,
    /// For what streams.
    pub(super) address: Address,
    /// The API that is spoken.
    pub(super) version: Api,
    /// It is Podman, which differs in details.
    pub(super) podman: bool,
    /// What everything is marked with that is made.
    pub(super) lease: Arc<Lease>,
    /// What this daemon does that the engine's events tell of as well.
    pub(super) ending: Ending,
    status: EngineStatus,
}

/// Looks for an engine for ever.
pub(super) struct Keeper {
    surroundings: Surroundings,
    link: watch::Sender<Link>,
    changes: broadcast::Sender<EngineChange>,
    owners: Owners,
    lease: Arc<Lease>,
}

impl Keeper {
    pub(super) fn new(
        surroundings: Surroundings,
        link: watch::Sender<Link>,
        changes: broadcast::Sender<EngineChange>,
        owners: Owners,
        lease: Arc<Lease>,
    ) -> Self {
        Self { surroundings, link, changes, owners, lease }
    }

    /// Connects, listens until the engine hangs up, and begins again.
    pub(super) async fn keep(self) {
        let mut pause = FIRST_PAUSE;
        let mut lost: Option<(Candidate, Instant)> = None;
        loop {
            let places = match &lost {
                Some((place, when)) if when.elapsed() < LOYALTY => vec![place.clone()],
                Some(_) | None => candidates(&self.surroundings),
            };
            match first_that_answers(&places, &self.lease).await {
                Ok((place, connection, subscription)) => {
                    let since = Instant::now();
                    tracing::info!(endpoint = place.endpoint, why = place.why, "engine reached");
                    self.connected(&connection);
                    let end = events::forward(subscription, &connection, &self.owners, &self.changes).await;
                    tracing::warn!(endpoint = place.endpoint, reason = end, "engine lost");
                    lost = Some((place, Instant::now()));
                    self.disconnected(end);
                    if since.elapsed() >= STABLE {
                        // It may only have ended the stream, and be there.
                        pause = FIRST_PAUSE;
                        continue;
                    }
                }
                Err(reason) => self.disconnected(reason),
            }
            tokio::time::sleep(pause).await;
            // One that restarts is back within seconds, and its services wait for it.
            let restarts = lost.as_ref().is_some_and(|(_, when)| when.elapsed() < LOYALTY);
            pause = if restarts { FIRST_PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        }
    }

    fn connected(&self, connection: &Arc<Connection>) {
        let link =
            Link { status: connection.status.clone(), connection: Some(Arc::clone(connection)), tried: true };
        self.link.send_replace(link);
        // Nobody listens yet, or any more: whoever comes is told.
        let _ = self.changes.send(EngineChange::Connected);
    }

    fn disconnected(&self, reason: String) {
        let mut news = false;
        self.link.send_modify(|link| {
            news = !link.tried || link.connection.is_some();
            link.status.state = EngineState::Disconnected;
            link.status.error = Some(reason);
            link.connection = None;
            link.tried = true;
        });
        if news {
            let _ = self.changes.send(EngineChange::Disconnected);
        }
    }
}

type Found = (Candidate, Arc<Connection>, events::Subscription);

/// The first place with an engine, with a subscription that stands; or what was tried and why it was not it.
async fn first_that_answers(places: &[Candidate], lease: &Arc<Lease>) -> Result<Found, String> {
    let mut tried = Vec::new();
    for place in places {
        let reason = match tokio::time::timeout(KNOCK, knock(place, lease)).await {
            Ok(Ok((connection, subscription))) => return Ok((place.clone(), connection, subscription)),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {} seconds", KNOCK.as_secs()),
        };
        tried.push((place, reason));
    }
    Err(report(&tried))
}

/// One line when one place was meant, else a list.
fn report(tried: &[(&Candidate, String)]) -> String {
    let line = |(place, reason): &(&Candidate, String)| match place.endpoint.as_str() {
        "" => format!("{}: {reason}", place.why),
        endpoint => format!("{endpoint} ({}): {reason}", place.why),
    };
    match tried {
        [only] => line(only),
        _ => {
            let mut text = "no container engine answers. Is Docker or Podman running? Tried:".to_owned();
            for place in tried {
                // Writing into a string cannot fail.
                let _ = write!(text, "\n  {}", line(place));
            }
            text
        }
    }
}

async fn knock(
    place: &Candidate,
    lease: &Arc<Lease>,
) -> Result<(Arc<Connection>, events::Subscription), String> {
    let address = address(place)?;
    let client = match &address {
        Address::Unix(path) => {
            // bollard only says that sending failed; the system says why.
            tokio::net::UnixStream::connect(path).await.map_err(|error| why_not(&error))?;
            bollard::Docker::connect_with_unix(&path.to_string_lossy(), NORMAL, API_DEFAULT_VERSION)
        }
        Address::Tcp(host) => {
            tokio::net::TcpStream::connect(host.as_str()).await.map_err(|error| why_not(&error))?;
            bollard::Docker::connect_with_http(&format!("tcp://{host}"), NORMAL, API_DEFAULT_VERSION)
        }
    };
    let failed = |error: bollard::errors::Error| super::error::with_sources(&error);
    let api = client.map_err(failed)?.negotiate_version().await.map_err(failed)?;
    let version = api.version().await.map_err(failed)?;
    let parts = version.components.unwrap_or_default();
    let podman = parts.iter().find(|part| part.name.to_lowercase().contains("podman"));
    let status = EngineStatus {
        state: EngineState::Connected,
        kind: if podman.is_some() { "podman" } else { "docker" }.to_owned(),
        version: podman.map(|part| part.version.clone()).or(version.version).unwrap_or_default(),
        endpoint: place.endpoint.clone(),
        error: None,
    };
    let spoken = api.client_version();
    let connection = Connection {
        slow: api.clone().with_timeout(Duration::from_secs(SLOW)),
        api,
        address,
        version: Api(spoken.major_version, spoken.minor_version),
        podman: podman.is_some(),
        lease: Arc::clone(lease),
        ending: Ending::default(),
        status,
    };
    let subscription = events::subscribe(&connection).await.map_err(|error| error.to_string())?;
    Ok((Arc::new(connection), subscription))
}

/// Where a place is, if we can go there.
fn address(place: &Candidate) -> Result<Address, String> {
    let endpoint = place.endpoint.as_str();
    if endpoint.is_empty() {
        return Err("there is no such context (see `docker context ls`)".to_owned());
    }
    if place.certificates.is_some() && !endpoint.starts_with("unix://") {
        return Err("engines behind TLS are not supported yet".to_owned());
    }
    match endpoint.split_once("://") {
        Some(("unix", path)) => Ok(Address::Unix(PathBuf::from(path))),
        Some(("tcp" | "http", rest)) => {
            let host = rest.split_once('/').map_or(rest, |(host, _)| host);
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
            Ok(Address::Tcp(if has_port { host.to_owned() } else { format!("{host}:2375") }))
        }
        Some(("https", _)) => Err("engines behind TLS are not supported yet".to_owned()),
        Some(("ssh", _)) => {
            Err("engines over ssh are not supported yet; forward its socket with `ssh -L` and set \
                                 DOCKER_HOST=unix://…"
                .to_owned())
        }
        Some((scheme, _)) => Err(format!("{scheme}:// is not a way to an engine; use unix:// or tcp://")),
        None => Err("not an address; write unix:///path or tcp://host:port".to_owned()),
    }
}

fn why_not(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::NotFound, "there is no such socket"),
        (io::ErrorKind::ConnectionRefused, "nobody listens"),
        (io::ErrorKind::PermissionDenied, "permission denied; is your user in the group that owns it?"),
    ];
    let text = known.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, text)| (*text).to_owned());
    text.unwrap_or_else(|| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::Docker;
    use super::super::scripted::Scripted;
    use super::*;
    use crate::engine::Engine as _;
    use sha2::{Digest as _, Sha256};

    /// One that restarts is back within seconds. With pauses that grow, services would be dead for as long again.
    #[tokio::test]
    async fn an_engine_that_was_lost_lately_is_tried_again_with_the_first_pause_and_nowhere_else() {
        let (engine, config) = (Scripted::new(|_| None), tempfile::tempdir().unwrap());
        let chosen = |name: &str| {
            let text = serde_json::json!({ "currentContext": name }).to_string();
            std::fs::write(config.path().join("config.json"), text).unwrap();
        };
        let near: String = Sha256::digest("near").iter().map(|byte| format!("{byte:02x}")).collect();
        let near = config.path().join("contexts/meta").join(near);
        std::fs::create_dir_all(&near).unwrap();
        let meta = serde_json::json!({ "Endpoints": { "docker": { "Host": engine.endpoint() } } });
        std::fs::write(near.join("meta.json"), meta.to_string()).unwrap();
        chosen("near");
        let vars = [("DOCKER_CONFIG".to_owned(), config.path().display().to_string())].into();
        let docker = Docker::connect(Surroundings { vars, ..Surroundings::default() }, None);
        docker.tried().await;
        assert_eq!((docker.status().state, docker.status().error), (EngineState::Connected, None));

        // From here on nothing takes time but pauses.
        tokio::time::pause();
        tokio::time::advance(STABLE).await;
        chosen("far");
        let mut link = docker.shared.link.clone();
        let lost_place = engine.endpoint();
        drop(engine);
        link.wait_for(|link| link.connection.is_none()).await.unwrap();
        let lost = Instant::now();
        let mut last = lost;
        while lost.elapsed() < LOYALTY - FIRST_PAUSE * 2 {
            link.changed().await.unwrap();
            assert!(last.elapsed() < FIRST_PAUSE * 2, "{:?} after {:?}", last.elapsed(), last - lost);
            last = Instant::now();
            let reason = link.borrow().status.error.clone().unwrap();
            assert!(reason.starts_with(&format!("{lost_place} (context near): ")), "{reason}");
        }
        // After that it is as gone as any other.
        let elsewhere = "context far: there is no such context (see `docker context ls`)";
        let is_elsewhere = link.wait_for(|link| link.status.error.as_deref() == Some(elsewhere));
        drop(tokio::time::timeout(LOYALTY, is_elsewhere).await.unwrap().unwrap());
        for _ in 0..5 {
            last = Instant::now();
            link.changed().await.unwrap();
        }
        assert!(last.elapsed() >= LONGEST_PAUSE, "{:?}", last.elapsed());
    }

    fn place(endpoint: &str, why: &str) -> Candidate {
        Candidate { endpoint: endpoint.to_owned(), why: why.to_owned(), certificates: None }
    }

    #[test]
    fn addresses_are_read() {
        let of = |endpoint| address(&place(endpoint, ""));
        assert_eq!(of("unix:///a b.sock"), Ok(Address::Unix(PathBuf::from("/a b.sock"))));
        assert_eq!(of("tcp://far:2375"), Ok(Address::Tcp("far:2375".to_owned())));
        assert_eq!(of("http://[::1]"), Ok(Address::Tcp("[::1]:2375".to_owned())));
        assert!(of("ssh://me@far").unwrap_err().contains("not supported yet"));
        assert!(of("/var/run/docker.sock").unwrap_err().contains("unix://"));
        assert!(of("").unwrap_err().contains("context"));
        let tls = Candidate { certificates: Some(PathBuf::from("/c")), ..place("tcp://far:2376", "") };
        assert!(address(&tls).unwrap_err().contains("TLS"));
    }

    #[tokio::test]
    async fn every_place_that_was_tried_is_named() {
        let missing = place("unix:///nowhere/a.sock", "Docker's usual socket");
        let far = place("ssh://far", "DOCKER_HOST");
        let lease = Arc::new(Lease::of(None));
        let Err(reason) = first_that_answers(&[missing.clone(), far], &lease).await else {
            panic!("nobody is there")
        };
        let lines: Vec<&str> = reason.lines().collect();
        assert_eq!(lines[1], "  unix:///nowhere/a.sock (Docker's usual socket): there is no such socket");
        assert!(lines[2].starts_with("  ssh://far (DOCKER_HOST): engines over ssh are not supported yet"));
        let Err(reason) = first_that_answers(&[missing], &lease).await else { panic!("nobody is there") };
        assert_eq!(reason, "unix:///nowhere/a.sock (Docker's usual socket): there is no such socket");
    }
}
