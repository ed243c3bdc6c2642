//! A container as the engine is asked for it: pure translation.

use super::api::{Api, V25};
use super::endpoint::{endpoint, only_mac_address};
use super::host::{self, signed, some, some_map};
use super::mounts::Mounts;
use super::shares;
use crate::engine::EngineError;
use crate::engine::spec::{ContainerSpec, compose};
use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, NetworkingConfig,
    PortBinding, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use devd_compose::model::{self, Healthcheck, NetworkMode, Service};
use std::collections::{BTreeSet, HashMap};
use std::{path::PathBuf, time::Duration};

/// Everything it takes to create a container.
#[derive(Clone, Debug)]
pub(super) struct Creation {
    /// What is sent.
    pub(super) body: ContainerCreateBody,
    /// The container's MAC address, for an engine that knows only one for all networks: not a part of today's body.
    pub(super) mac_address: Option<String>,
    /// Networks to connect it to before it starts, because the engine takes only one with the creation.
    pub(super) connect: Vec<(String, EndpointSettings)>,
    /// Folders to make first.
    pub(super) folders: Vec<PathBuf>,
}

/// Translates. `image` is the id of the image.
pub(super) fn creation(spec: &ContainerSpec, image: &str, api: Api) -> Result<Creation, EngineError> {
    let service = &spec.service;
    let mut mounts = Mounts::new(service, &spec.volumes, api)?;
    let folders = std::mem::take(&mut mounts.folders);
    let mut host = host_config(spec)?;
    mounts.fill(&mut host);
    shares::fill(spec, &mut host);
    let mut labels: HashMap<String, String> =
        spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.insert(compose::IMAGE.to_owned(), image.to_owned());

    let endpoints = spec.networks.iter().map(|at| Ok((at.network.clone(), endpoint(spec, at, api)?)));
    let mut endpoints = endpoints.collect::<Result<Vec<_>, EngineError>>()?;
    let connect = if api >= V25 { Vec::new() } else { endpoints.split_off(endpoints.len().min(1)) };
    let networking = NetworkingConfig { endpoints_config: Some(endpoints.into_iter().collect()) };

    // An engine refuses to expose ports of somebody else's network.
    let shares = host.network_mode.as_deref().is_some_and(|mode| mode.starts_with("container:"));
    let body = ContainerCreateBody {
        hostname: service.hostname.clone(),
        domainname: service.host.domainname.clone(),
        user: service.user.clone(),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        exposed_ports: if shares { None } else { some(exposed(service)) },
        tty: service.tty.then_some(true),
        open_stdin: service.stdin_open.then_some(true),
        env: some(spec.env.clone()),
        cmd: service.command.clone(),
        healthcheck: service.healthcheck.as_ref().map(|check| healthcheck(check, api)),
        image: Some(spec.image.clone()),
        working_dir: service.working_dir.clone(),
        entrypoint: service.entrypoint.clone(),
        labels: Some(labels),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service.stop_grace_period.map(|time| signed(time.as_secs())),
        host_config: Some(host),
        networking_config: (!spec.networks.is_empty()).then_some(networking),
        ..Default::default()
    };
    Ok(Creation { body, mac_address: only_mac_address(spec, api), connect, folders })
}

fn host_config(spec: &ContainerSpec) -> Result<HostConfig, EngineError> {
    let service = &spec.service;
    let security = security(&service.security_opt)?;
    let added = capabilities(&service.cap_add);
    // What is added is not dropped.
    let dropped = &capabilities(&service.cap_drop) - &added;
    Ok(HostConfig {
        network_mode: network_mode(spec),
        port_bindings: spec.publish.then(|| bindings(&service.ports)).filter(|bindings| !bindings.is_empty()),
        restart_policy: service.restart_policy().filter(|_| spec.restart).map(restart_policy),
        auto_remove: spec.auto_remove.then_some(true),
        init: service.init,
        ulimits: some(
            service
                .ulimits
                .iter()
                .map(|(name, limit)| ResourcesUlimits {
                    name: Some(name.clone()),
                    soft: Some(limit.soft()),
                    hard: Some(limit.hard()),
                })
                .collect(),
        ),
        sysctls: some_map(&service.sysctls),
        log_config: service.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: some_map(&logging.options),
        }),
        extra_hosts: some(service.extra_hosts.iter().map(|entry| entry.replacen('=', ":", 1)).collect()),
        dns: some(service.dns.clone()),
        cap_add: some(added.into_iter().collect()),
        cap_drop: some(dropped.into_iter().collect()),
        group_add: some(service.group_add.clone()),
        privileged: service.privileged.then_some(true),
        readonly_rootfs: service.read_only.then_some(true),
        security_opt: some(security.options),
        masked_paths: security.everything_visible.then(Vec::new),
        readonly_paths: security.everything_visible.then(Vec::new),
        shm_size: service.shm_size.map(signed),
        ..host::settings(service)
    })
}

fn network_mode(spec: &ContainerSpec) -> Option<String> {
    match &spec.service.network_mode {
        Some(
            mode @ (NetworkMode::Host | NetworkMode::None | NetworkMode::Bridge | NetworkMode::Container(_)),
        ) => Some(mode.to_string()),
        Some(NetworkMode::Other(text)) => Some(text.clone()),
        // A service is not a word of the engine: what it shares stands for it.
        Some(NetworkMode::Service(_)) | None => {
            spec.networks.first().map(|endpoint| endpoint.network.clone())
        }
    }
}

fn healthcheck(check: &Healthcheck, api: Api) -> HealthConfig {
    if check.disable {
        return HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() };
    }
    let nanos = |time: Option<Duration>| time.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    HealthConfig {
        test: check.test.clone(),
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries.map(i64::from),
        start_period: nanos(check.start_period),
        // An older engine refuses it. What waits for a service probes it itself, and faster.
        start_interval: nanos(check.start_interval.filter(|_| api >= V25)),
    }
}

/// The ports that it says it listens on, published or not: `80/tcp`.
fn exposed(service: &Service) -> Vec<String> {
    let mut ports: Vec<String> =
        service.ports.iter().map(|port| format!("{}/{}", port.target, port.protocol)).collect();
    for text in &service.expose {
        let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => ports.extend((first..=last).map(|port| format!("{port}/{protocol}"))),
            // The engine knows what is wrong with it.
            _ => ports.push(text.clone()),
        }
    }
    ports.sort();
    ports.dedup();
    ports
}

fn bindings(ports: &[model::Port]) -> HashMap<String, Option<Vec<PortBinding>>> {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.clone().unwrap_or_default()),
            // Empty: the engine picks one.
            host_port: Some(port.published.map(|range| range.to_string()).unwrap_or_default()),
        };
        let key = format!("{}/{}", port.target, port.protocol);
        bindings.entry(key).or_default().get_or_insert_default().push(binding);
    }
    bindings
}

fn restart_policy(policy: model::RestartPolicy) -> RestartPolicy {
    let (name, retries) = match policy {
        model::RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        model::RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        model::RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        model::RestartPolicy::OnFailure { max_retries } => (RestartPolicyNameEnum::ON_FAILURE, max_retries),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: retries.map(i64::from) }
}

/// Capabilities under their full names, as Docker's own clients send them. `ALL` has all others in it.
fn capabilities(texts: &[String]) -> BTreeSet<String> {
    let full = |text: &String| match text.trim().to_uppercase() {
        all if all == "ALL" || all.starts_with("CAP_") => all,
        name => format!("CAP_{name}"),
    };
    let all: BTreeSet<String> = texts.iter().map(full).collect();
    if all.contains("ALL") { BTreeSet::from(["ALL".to_owned()]) } else { all }
}

struct Security {
    options: Vec<String>,
    everything_visible: bool,
}

/// The engine wants the text of a seccomp profile where files name it, and has other fields for `systempaths`.
fn security(options: &[String]) -> Result<Security, EngineError> {
    let mut security = Security { options: Vec::new(), everything_visible: false };
    for option in options {
        let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (name, value) {
            ("systempaths", "unconfined") => security.everything_visible = true,
            ("seccomp", path) if path.starts_with('/') => {
                let refuse = |error: &dyn std::fmt::Display| {
                    EngineError::Refused(format!("cannot read the seccomp profile {path}: {error}"))
                };
                let text = std::fs::read(path).map_err(|error| refuse(&error))?;
                let profile: serde_json::Value =
                    serde_json::from_slice(&text).map_err(|error| refuse(&error))?;
                security.options.push(format!("seccomp={profile}"));
            }
            _ => security.options.push(option.clone()),
        }
    }
    Ok(security)
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
