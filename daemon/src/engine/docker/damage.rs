//! What became of the containers of tests, and of those that they need.

use super::error::gone_is_fine;
use super::events;
use super::link::Connection;
use crate::engine::EngineError;
use crate::engine::spec::compose;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum as Status};
use bollard::query_parameters::InspectContainerOptions;
use std::time::Duration;

/// How long before the tests began somebody may have ended what they need without devd's having heard of it by then.
const UNHEARD: Duration = Duration::from_secs(5);

/// How long an engine is given to tell what it did: its clock may be behind this machine's.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first damage there is, in words.
pub(super) async fn damage(
    connection: &Connection,
    needed: &[String],
    tests: &str,
    lasted: Duration,
) -> Result<Option<String>, EngineError> {
    for id in needed {
        let answer = connection.api.inspect_container(id, None::<InspectContainerOptions>).await;
        let damage = match gone_is_fine(answer.map(Some).map_err(EngineError::from))? {
            Some(found) => damage_of(&found),
            None => Some("a container that they need was removed".to_owned()),
        };
        if damage.is_some() {
            return Ok(damage);
        }
    }
    // What is told to end may do so with 0, as if nothing had happened.
    let of: Vec<&str> = needed.iter().map(String::as_str).chain([tests]).collect();
    let told = events::told_to_end(connection, &of, lasted + UNHEARD);
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(told)) => Ok(told.map(|service| format!("somebody ended {service}"))),
        Ok(Err(error @ EngineError::Unreachable(_))) => Err(error),
        // Tests that failed have failed, also on an engine that remembers no events.
        Ok(Err(error)) => {
            tracing::debug!(%error, "the engine does not say what it did");
            Ok(None)
        }
        Err(_) => Ok(None),
    }
}

fn damage_of(found: &ContainerInspectResponse) -> Option<String> {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    let service =
        labels.and_then(|labels| labels.get(compose::SERVICE)).map_or("a dependency", String::as_str);
    let state = found.state.as_ref()?;
    match state.status.unwrap_or(Status::EMPTY) {
        Status::EXITED if state.exit_code == Some(0) => None,
        Status::EXITED => Some(format!("{service} exited with {}", state.exit_code.unwrap_or_default())),
        Status::PAUSED => Some(format!("{service} was paused")),
        Status::REMOVING | Status::DEAD => Some(format!("{service} was removed")),
        Status::CREATED | Status::RUNNING | Status::RESTARTING | Status::STOPPING | Status::EMPTY => {
            let network = lost_network(found)?;
            Some(format!("{service} was taken off the network {network}"))
        }
    }
}

/// The network that a container was made for, when it is not on it any more.
fn lost_network(found: &ContainerInspectResponse) -> Option<&str> {
    let mode = found.host_config.as_ref()?.network_mode.as_deref()?;
    let named = !matches!(mode, "" | "default" | "bridge" | "host" | "none") && !mode.contains(':');
    let networks = found.network_settings.as_ref()?.networks.as_ref()?;
    (named && !networks.contains_key(mode)).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        damage_of(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn what_ended_well_or_runs_on_its_network_is_whole() {
        let on = |mode: &str, networks: &str| {
            of(&format!(
                r#"{{"Config": {{"Labels": {{"com.docker.compose.service": "db"}}}}, "State": {{"Status": "running"}},
                "HostConfig": {{"NetworkMode": "{mode}"}}, "NetworkSettings": {{"Networks": {networks}}}}}"#
            ))
        };
        assert_eq!(of(r#"{"State": {"Status": "exited", "ExitCode": 0}}"#), None);
        assert_eq!(on("t_default", r#"{"t_default": {}}"#), None);
        assert_eq!(on("container:1", "{}"), None);
        assert_eq!(on("host", "{}"), None);
        assert_eq!(on("t_default", "{}").unwrap(), "db was taken off the network t_default");
        let killed = r#"{"State": {"Status": "exited", "ExitCode": 137}}"#;
        assert_eq!(of(killed).unwrap(), "a dependency exited with 137");
        assert_eq!(of(r#"{"State": {"Status": "paused"}}"#).unwrap(), "a dependency was paused");
    }
}
