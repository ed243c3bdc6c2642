//! Ports as people use them.

use super::status::state_style;
use super::style::{BAD, HEADER, PLAIN};
use super::table::{Table, cell};
use devd_proto::{Health, Port, ServiceStatus};

/// Where a published port is reached, as something to click on where that makes sense.
pub(crate) fn address(port: &Port) -> String {
    let host = match port.host_ip.as_str() {
        "" | "0.0.0.0" | "::" | "127.0.0.1" | "::1" => "localhost".to_owned(),
        ip if ip.contains(':') => format!("[{ip}]"),
        ip => ip.to_owned(),
    };
    match (port.protocol.as_str(), port.container) {
        ("tcp", 443 | 8443) => format!("https://{host}:{}", port.host),
        ("tcp", container) if !is_other_protocol(container) => format!("http://{host}:{}", port.host),
        ("tcp", _) => format!("{host}:{}", port.host),
        (protocol, _) => format!("{host}:{}/{protocol}", port.host),
    }
}

/// The well-known ports of what a stack has beside its web services.
fn is_other_protocol(port: u16) -> bool {
    matches!(
        port,
        21 | 22
            | 25
            | 53
            | 389
            | 465
            | 587
            | 636
            | 1025
            | 1433
            | 1521
            | 1883
            | 2181
            | 3306
            | 4222
            | 5432
            | 5671
            | 5672
            | 6379
            | 9042
            | 9092
            | 11211
            | 26257
            | 27017
    )
}

/// `8001->8000`, as `docker ps` shows it; one for IPv4 and IPv6 together.
pub(crate) fn mappings(ports: &[Port]) -> String {
    let mut shown: Vec<String> = Vec::new();
    for port in ports {
        let suffix = if port.protocol == "tcp" { String::new() } else { format!("/{}", port.protocol) };
        let mapping = format!("{}->{}{suffix}", port.host, port.container);
        if !shown.contains(&mapping) {
            shown.push(mapping);
        }
    }
    shown.join(", ")
}

/// What `devd up` ends with: where everything answers.
pub(crate) fn table(services: &[ServiceStatus]) -> String {
    let mut table = Table::default();
    table.row([cell(HEADER, "SERVICE"), cell(HEADER, "STATE"), cell(HEADER, "ADDRESS")]);
    for service in services {
        let mut addresses: Vec<String> = service.ports.iter().map(address).collect();
        addresses.dedup();
        let state = match service.health {
            Health::Unhealthy => cell(BAD, "unhealthy"),
            Health::None | Health::Starting | Health::Healthy | Health::Unknown => {
                cell(state_style(service.state), super::status::state_word(service.state))
            }
        };
        table.row([cell(PLAIN, service.name.as_str()), state, cell(PLAIN, addresses.join("  "))]);
    }
    table.render(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, host: u16, container: u16, protocol: &str) -> Port {
        Port { host_ip: host_ip.to_owned(), host, container, protocol: protocol.to_owned() }
    }

    #[test]
    fn an_address_is_a_link_only_where_a_browser_helps() {
        let said = [
            port("0.0.0.0", 8001, 8000, "tcp"),
            port("::", 8443, 443, "tcp"),
            port("127.0.0.1", 15432, 5432, "tcp"),
            port("192.168.1.2", 53, 53, "udp"),
        ]
        .map(|port| address(&port));
        assert_eq!(
            said,
            ["http://localhost:8001", "https://localhost:8443", "localhost:15432", "192.168.1.2:53/udp"]
        );
    }

    #[test]
    fn both_ip_families_are_one_mapping() {
        let ports =
            [port("0.0.0.0", 8001, 8000, "tcp"), port("::", 8001, 8000, "tcp"), port("", 53, 53, "udp")];
        assert_eq!(mappings(&ports), "8001->8000, 53->53/udp");
    }
}
