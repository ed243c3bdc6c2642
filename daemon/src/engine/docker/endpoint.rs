//! A container's place on a network, in the engine's words.

use super::api::{Api, V25, V28, V28_1};
use super::host::{some, some_map};
use crate::engine::EngineError;
use crate::engine::spec::{ContainerSpec, EndpointSpec};
use bollard::models::{EndpointIpamConfig, EndpointSettings};

/// The driver's option that names a container's end.
const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// Translates the first of a container's endpoints, or another one.
pub(super) fn endpoint(
    spec: &ContainerSpec,
    at: &EndpointSpec,
    api: Api,
) -> Result<EndpointSettings, EngineError> {
    let said = &at.attachment;
    let field = |name: &str| format!("`{name}` of the network {}", at.network);
    if said.gw_priority != 0 {
        api.takes(V28, &field("gw_priority"))?;
    }
    let mut options = said.driver_opts.clone();
    if let Some(name) = &said.interface_name {
        api.takes(V28_1, &field("interface_name"))?;
        options.entry(INTERFACE.to_owned()).or_insert_with(|| name.clone());
    }
    let is_first = spec.networks.first().is_some_and(|first| first.network == at.network);
    if said.mac_address.is_some() && !is_first {
        // It has one address for a container, that on the first network.
        api.takes(V25, &field("mac_address"))?;
    }
    let mac = said.mac_address.as_ref().or(spec.service.host.mac_address.as_ref().filter(|_| is_first));
    let addresses = EndpointIpamConfig {
        ipv4_address: said.ipv4_address.clone(),
        ipv6_address: said.ipv6_address.clone(),
        link_local_ips: some(said.link_local_ips.clone()),
    };
    Ok(EndpointSettings {
        aliases: some(at.aliases.clone()),
        links: some(at.links.clone()),
        ipam_config: (addresses != EndpointIpamConfig::default()).then_some(addresses),
        mac_address: mac.cloned().filter(|_| api >= V25),
        driver_opts: some_map(&options),
        gw_priority: (said.gw_priority != 0).then_some(said.gw_priority),
        ..Default::default()
    })
}

/// The one address of a container, where the engine has none by network.
pub(super) fn only_mac_address(spec: &ContainerSpec, api: Api) -> Option<String> {
    let first = spec.networks.first().and_then(|first| first.attachment.mac_address.clone());
    first.or_else(|| spec.service.host.mac_address.clone()).filter(|_| api < V25 || spec.networks.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use devd_compose::model::Attachment;
    use serde_json::json;

    const OLD: Api = Api(1, 41);

    fn at(network: &str, attachment: Attachment) -> EndpointSpec {
        EndpointSpec { network: network.to_owned(), aliases: Vec::new(), links: Vec::new(), attachment }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn rich() -> ContainerSpec {
        let attachment = Attachment {
            driver_opts: [("a".to_owned(), "b".to_owned())].into(),
            gw_priority: 3,
            interface_name: text("eth7"),
            ipv4_address: text("10.0.0.9"),
            ipv6_address: text("fd00::9"),
            link_local_ips: vec!["169.254.1.1".to_owned()],
            ..Attachment::default()
        };
        let other = Attachment { mac_address: text("02:00:00:00:00:02"), ..Attachment::default() };
        let networks = vec![at("one", attachment), at("two", other)];
        let mut spec = ContainerSpec { networks, ..crate::engine::spec::plain() };
        spec.service.host.mac_address = text("02:00:00:00:00:01");
        spec
    }

    #[test]
    fn everything_of_an_attachment_is_sent() {
        let spec = rich();
        let sent = |at: &EndpointSpec| serde_json::to_value(endpoint(&spec, at, V28_1).unwrap()).unwrap();
        assert_eq!(
            sent(&spec.networks[0]),
            json!({
                "IPAMConfig": {
                    "IPv4Address": "10.0.0.9", "IPv6Address": "fd00::9", "LinkLocalIPs": ["169.254.1.1"],
                },
                "MacAddress": "02:00:00:00:00:01",
                "DriverOpts": { "a": "b", "com.docker.network.endpoint.ifname": "eth7" },
                "GwPriority": 3,
            })
        );
        assert_eq!(sent(&spec.networks[1]), json!({ "MacAddress": "02:00:00:00:00:02" }));
        assert_eq!(only_mac_address(&spec, V28_1), None);
    }

    #[test]
    fn an_older_engine_takes_less_and_that_is_said() {
        let mut spec = rich();
        let refused = |spec: &ContainerSpec, at: usize, api| {
            endpoint(spec, &spec.networks[at], api).unwrap_err().to_string()
        };
        assert!(refused(&spec, 0, V25).starts_with("`gw_priority` of the network one needs an engine"));
        spec.networks[0].attachment.gw_priority = 0;
        assert!(refused(&spec, 0, V28).starts_with("`interface_name` of the network one needs"));
        spec.networks[0].attachment.interface_name = None;
        assert!(refused(&spec, 1, OLD).starts_with("`mac_address` of the network two needs"));
        assert_eq!(endpoint(&spec, &spec.networks[0], OLD).unwrap().mac_address, None);
        assert_eq!(only_mac_address(&spec, OLD).as_deref(), Some("02:00:00:00:00:01"));
        spec.networks[0].attachment.mac_address = text("02:00:00:00:00:03");
        assert_eq!(only_mac_address(&spec, OLD).as_deref(), Some("02:00:00:00:00:03"));
    }
}
