//! Whether a container is ready: its health check, run by us and not at the engine's pace.

use super::exec::output_of;
use super::link::Connection;
use super::ports::listeners;
use crate::engine::EngineError;
use crate::engine::spec::{ExecSpec, HealthCheck};
use bollard::models::{ContainerConfig, HealthConfig};
use bollard::query_parameters::InspectContainerOptions;
use std::time::Duration;
use tokio::time::Instant;

/// Between two checks: twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a container without a health check may take to listen, before it is taken for ready.
const LISTENING: Duration = Duration::from_secs(30);

/// What Docker takes for what nobody says.
const INTERVAL: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

/// A command that cannot be run, because it is not executable or not there.
const CANNOT_RUN: [i64; 2] = [126, 127];

pub(super) async fn probe(connection: &Connection, container: &str) -> Result<bool, EngineError> {
    let inspected = connection.api.inspect_container(container, None::<InspectContainerOptions>).await;
    let config = match inspected.map_err(EngineError::from) {
        Ok(inspected) => inspected.config.unwrap_or_default(),
        Err(EngineError::NotFound(_)) => return Ok(false),
        Err(error) => return Err(error),
    };
    match health_check(&config) {
        Some((check, command)) => healthy(connection, container, &check, command).await,
        None => listening(connection, container, &exposed(&config)).await,
    }
}

async fn healthy(
    connection: &Connection,
    container: &str,
    check: &HealthCheck,
    command: Vec<String>,
) -> Result<bool, EngineError> {
    let patience = check.start_period + check.interval * check.retries;
    let begun = Instant::now();
    let mut failures = 0;
    let mut pauses = pauses();
    loop {
        let spec = ExecSpec { cmd: command.clone(), ..Default::default() };
        let passed =
            match tokio::time::timeout(check.timeout, output_of(connection, container, spec, false)).await {
                Ok(Ok((code, _))) => code == 0,
                Ok(Err(error @ EngineError::Unreachable(_))) => return Err(error),
                // Nothing kills a check that takes too long; it is left to itself, as the engine does.
                Ok(Err(_)) | Err(_) => false,
            };
        if passed {
            return Ok(true);
        }
        if !alive(connection, container).await? {
            return Ok(false);
        }
        if begun.elapsed() > check.start_period {
            failures += 1;
        }
        // We ask more often than the file says; what the file calls unhealthy still takes as long.
        if failures >= check.retries && begun.elapsed() >= patience {
            return Ok(false);
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

async fn listening(connection: &Connection, container: &str, ports: &[u16]) -> Result<bool, EngineError> {
    if ports.is_empty() {
        return Ok(true);
    }
    let begun = Instant::now();
    let mut pauses = pauses();
    while begun.elapsed() < LISTENING {
        let cmd = ["cat", "/proc/net/tcp", "/proc/net/tcp6"].map(str::to_owned).to_vec();
        match output_of(connection, container, ExecSpec { cmd, ..Default::default() }, false).await {
            Ok((code, _)) if CANNOT_RUN.contains(&code) => return alive(connection, container).await,
            // Without IPv6 one of the two is missing, which is not a reason to ignore the other.
            Ok((_, table)) if listens(&table, ports) => return Ok(true),
            Ok(_)
            | Err(EngineError::NotFound(_) | EngineError::Refused(_) | EngineError::BuildFailed { .. }) => {}
            Err(error @ EngineError::Unreachable(_)) => return Err(error),
        }
        if !alive(connection, container).await? {
            return Ok(false);
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
    Ok(true)
}

/// Whether it runs, or will again by itself.
async fn alive(connection: &Connection, container: &str) -> Result<bool, EngineError> {
    let inspected = connection.api.inspect_container(container, None::<InspectContainerOptions>).await;
    match inspected.map_err(EngineError::from) {
        Ok(inspected) => {
            let state = inspected.state.unwrap_or_default();
            Ok(state.running.unwrap_or_default() || state.restarting.unwrap_or_default())
        }
        Err(EngineError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn listens(tables: &[u8], ports: &[u16]) -> bool {
    listeners(&String::from_utf8_lossy(tables)).any(|(port, _)| ports.contains(&port))
}

fn pauses() -> impl Iterator<Item = Duration> {
    std::iter::successors(Some(FIRST_PAUSE), |pause| Some(LONGEST_PAUSE.min(*pause * 2)))
}

fn exposed(config: &ContainerConfig) -> Vec<u16> {
    let tcp = config.exposed_ports.iter().flatten().filter_map(|port| match port.split_once('/') {
        Some((number, "tcp")) => Some(number),
        Some(_) => None,
        None => Some(port.as_str()),
    });
    tcp.filter_map(|number| number.parse().ok()).collect()
}

/// The health check of a container, complete, and its command. The engine has mixed in what the image says.
fn health_check(config: &ContainerConfig) -> Option<(HealthCheck, Vec<String>)> {
    let health = config.healthcheck.as_ref()?;
    let test = health.test.clone().unwrap_or_default();
    let command = match test.split_first()? {
        (kind, rest) if kind == "CMD" && !rest.is_empty() => rest.to_vec(),
        (kind, [script, ..]) if kind == "CMD-SHELL" => {
            let shell = config.shell.clone().filter(|shell| !shell.is_empty());
            let mut command = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
            command.push(script.clone());
            command
        }
        _ => return None,
    };
    Some((complete(health, test), command))
}

fn complete(health: &HealthConfig, test: Vec<String>) -> HealthCheck {
    // The engine says 0 for what was not said.
    let said =
        |nanos: Option<i64>| nanos.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    let time = |nanos, otherwise| said(nanos).map_or(otherwise, Duration::from_nanos);
    HealthCheck {
        test,
        interval: time(health.interval, INTERVAL),
        timeout: time(health.timeout, INTERVAL),
        retries: said(health.retries).and_then(|retries| u32::try_from(retries).ok()).unwrap_or(RETRIES),
        start_period: time(health.start_period, Duration::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(test: &[&str], health: HealthConfig) -> ContainerConfig {
        let test = test.iter().map(|word| (*word).to_owned()).collect();
        ContainerConfig {
            healthcheck: Some(HealthConfig { test: Some(test), ..health }),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_not_said_is_dockers() {
        let (check, command) = health_check(&config(&["CMD", "ping"], HealthConfig::default())).unwrap();
        assert_eq!(command, ["ping"]);
        assert_eq!((check.interval, check.timeout), (INTERVAL, INTERVAL));
        assert_eq!((check.retries, check.start_period), (3, Duration::ZERO));
        let said = HealthConfig {
            interval: Some(5_000_000_000),
            retries: Some(9),
            timeout: Some(0),
            ..Default::default()
        };
        let (check, _) = health_check(&config(&["CMD", "ping"], said)).unwrap();
        assert_eq!((check.interval, check.timeout, check.retries), (Duration::from_secs(5), INTERVAL, 9));
    }

    #[test]
    fn the_shell_is_the_images() {
        let mut config = config(&["CMD-SHELL", "a && b"], HealthConfig::default());
        assert_eq!(health_check(&config).unwrap().1, ["/bin/sh", "-c", "a && b"]);
        config.shell = Some(vec!["/bin/bash".to_owned(), "-ec".to_owned()]);
        assert_eq!(health_check(&config).unwrap().1, ["/bin/bash", "-ec", "a && b"]);
    }

    #[test]
    fn no_check_is_none() {
        for test in [&["NONE"][..], &[], &["CMD"]] {
            assert!(health_check(&config(test, HealthConfig::default())).is_none(), "{test:?}");
        }
        assert!(health_check(&ContainerConfig::default()).is_none());
    }

    #[test]
    fn exposed_ports_are_listened_on() {
        let ports = ["80/tcp", "53/udp", "8001"].map(str::to_owned).to_vec();
        let ports = exposed(&ContainerConfig { exposed_ports: Some(ports), ..Default::default() });
        assert_eq!(ports, [80, 8001]);
        let line =
            |state: &str| format!("   0: 00000000:1F41 00000000:0000 {state} 0:0 00:0 0 0 0 12345 1\n");
        assert!(listens(line("0A").as_bytes(), &ports));
        assert!(!listens(line("01").as_bytes(), &ports));
    }
}
