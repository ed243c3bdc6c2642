//! Removing everything that was made for one test run.

use super::link::Connection;
use super::{apply, observe};
use crate::engine::EngineError;
use crate::engine::spec::label;
use futures_util::future::join_all;
use std::time::Duration;

/// An engine needs a moment to take a removed container off its networks and volumes.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Removes containers, then networks, then volumes; an error if anything is left.
pub(super) async fn remove(connection: &Connection, project: &str, run: &str) -> Result<(), EngineError> {
    let (project, run) = (format!("{}={project}", label::PROJECT), format!("{}={run}", label::ENVIRONMENT));
    let labels = [project, run, connection.lease.filter()];
    let mut attempt = 1;
    loop {
        match sweep(connection, &labels).await {
            // Whatever refused may be over at the next attempt.
            Err(EngineError::Refused(_)) if attempt < ATTEMPTS => {}
            Ok(left) if !left.is_empty() && attempt < ATTEMPTS => {}
            Ok(left) if !left.is_empty() => {
                return Err(EngineError::Refused(format!("cannot remove {}", left.join(", "))));
            }
            other => return other.map(drop),
        }
        attempt += 1;
        tokio::time::sleep(PAUSE * attempt).await;
    }
}

/// One sweep; says what is there after it. Everything is tried, whatever fails.
async fn sweep(connection: &Connection, labels: &[String]) -> Result<Vec<String>, EngineError> {
    let (containers, things) =
        tokio::try_join!(observe::containers(connection, labels), observe::things(connection, labels))?;
    if containers.is_empty() && things.networks.is_empty() && things.volumes.is_empty() {
        return Ok(Vec::new());
    }
    let ids = containers.iter().filter_map(|container| container.id.as_deref());
    let mut results = join_all(ids.map(|id| apply::remove(connection, id))).await;
    results.extend(
        join_all(things.networks.iter().map(|network| apply::remove_network(connection, &network.id))).await,
    );
    results.extend(
        join_all(things.volumes.iter().map(|(name, _)| apply::remove_volume(connection, name))).await,
    );
    results.into_iter().collect::<Result<Vec<()>, _>>()?;

    let (containers, things) =
        tokio::try_join!(observe::containers(connection, labels), observe::things(connection, labels))?;
    let name = |container: bollard::models::ContainerSummary| {
        let name =
            container.names.unwrap_or_default().into_iter().next().or(container.id).unwrap_or_default();
        format!("container {}", name.trim_start_matches('/'))
    };
    let networks = things.networks.into_iter().map(|network| format!("network {}", network.name));
    let volumes = things.volumes.into_iter().map(|(name, _)| format!("volume {name}"));
    Ok(containers.into_iter().map(name).chain(networks).chain(volumes).collect())
}
