//! What a service asks of its host, in the engine's words: limits, devices, namespaces.

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigCgroupnsModeEnum, HostConfigIsolationEnum,
    ResourcesBlkioWeightDevice, ThrottleDevice,
};
use devd_compose::model::{self, Service};
use std::collections::{BTreeMap, HashMap};

/// The part of a container's configuration that only these settings make.
pub(super) fn settings(service: &Service) -> HostConfig {
    let host = &service.host;
    let blkio = host.blkio_config.clone().unwrap_or_default();
    HostConfig {
        // An engine that is too old for them passes over them.
        annotations: some_map(&host.annotations),
        blkio_weight: blkio.weight,
        blkio_weight_device: some(blkio.weight_device.iter().map(weight).collect()),
        blkio_device_read_bps: some(blkio.device_read_bps.iter().map(rate).collect()),
        blkio_device_read_iops: some(blkio.device_read_iops.iter().map(rate).collect()),
        blkio_device_write_bps: some(blkio.device_write_bps.iter().map(rate).collect()),
        blkio_device_write_iops: some(blkio.device_write_iops.iter().map(rate).collect()),
        cgroupns_mode: host.cgroup.as_deref().map(|mode| match mode {
            "host" => HostConfigCgroupnsModeEnum::HOST,
            _ => HostConfigCgroupnsModeEnum::PRIVATE,
        }),
        cgroup_parent: host.cgroup_parent.clone(),
        cpu_count: host.cpu_count,
        cpu_percent: host.cpu_percent,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_rt_period,
        cpu_realtime_runtime: host.cpu_rt_runtime,
        cpu_shares: host.cpu_shares,
        cpuset_cpus: host.cpuset.clone(),
        device_cgroup_rules: some(host.device_cgroup_rules.clone()),
        devices: some(host.devices.iter().filter(|device| !is_cdi(device)).map(device).collect()),
        device_requests: some(requests(service)),
        dns_options: some(host.dns_opt.clone()),
        dns_search: some(host.dns_search.clone()),
        isolation: host.isolation.as_deref().map(|isolation| match isolation {
            "process" => HostConfigIsolationEnum::PROCESS,
            "hyperv" => HostConfigIsolationEnum::HYPERV,
            _ => HostConfigIsolationEnum::DEFAULT,
        }),
        memory: service.memory_limit().map(signed),
        memory_reservation: service.memory_reservation().map(signed),
        memory_swap: host.memswap_limit,
        memory_swappiness: host.mem_swappiness.map(signed),
        nano_cpus: service.cpu_limit().map(signed),
        oom_kill_disable: host.oom_kill_disable.then_some(true),
        oom_score_adj: host.oom_score_adj,
        pids_limit: service.pids_limit(),
        runtime: host.runtime.clone(),
        storage_opt: some_map(&host.storage_opt),
        userns_mode: host.userns_mode.clone(),
        uts_mode: host.uts.clone(),
        volume_driver: host.volume_driver.clone(),
        ..Default::default()
    }
}

/// A device known by a qualified name, such as `vendor.com/class=name`, and not by its path.
fn is_cdi(device: &model::Device) -> bool {
    !device.source.starts_with('/') && device.source.contains('/') && device.source.contains('=')
}

fn device(device: &model::Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(device.target.as_ref().unwrap_or(&device.source).clone()),
        cgroup_permissions: Some(device.permissions.clone().unwrap_or_else(|| "rwm".to_owned())),
    }
}

fn requests(service: &Service) -> Vec<DeviceRequest> {
    let named: Vec<String> = service
        .host
        .devices
        .iter()
        .filter(|device| is_cdi(device))
        .map(|device| device.source.clone())
        .collect();
    let named = (!named.is_empty()).then(|| DeviceRequest {
        driver: Some("cdi".to_owned()),
        device_ids: Some(named),
        ..Default::default()
    });
    let asked = service.device_requests().into_iter().map(|request| DeviceRequest {
        driver: request.driver,
        count: request.count,
        device_ids: some(request.device_ids),
        capabilities: Some(vec![request.capabilities]),
        options: some_map(&request.options),
    });
    asked.chain(named).collect()
}

fn weight(of: &model::BlkioWeight) -> ResourcesBlkioWeightDevice {
    ResourcesBlkioWeightDevice { path: Some(of.path.clone()), weight: Some(usize::from(of.weight)) }
}

fn rate(of: &model::BlkioRate) -> ThrottleDevice {
    ThrottleDevice { path: Some(of.path.clone()), rate: Some(signed(of.rate)) }
}

pub(super) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn some_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Sizes beyond eight exabytes are cut.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
