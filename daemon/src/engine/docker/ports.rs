//! Who holds a port that a container wants.

use super::clean::clean;
use super::link::Connection;
use super::wire::Address;
use crate::engine::spec::compose;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptions;
use std::{collections::HashMap, fs, path::Path};

/// An engine's refusal to start a container, said so that something can be done about it.
pub(super) async fn explain(connection: &Connection, message: String) -> String {
    let Some(port) = taken(&message) else { return clean(&message) };
    let options = ListContainersOptions {
        filters: Some(HashMap::from([("status".to_owned(), vec!["running".to_owned()])])),
        ..Default::default()
    };
    let running = connection.api.list_containers(Some(options)).await.unwrap_or_default();
    let holder = match running.iter().find(|container| publishes(container, port)) {
        Some(container) => Some(describe(container)),
        // The processes of this machine say nothing about an engine elsewhere.
        None if matches!(connection.address, Address::Unix(_)) => {
            tokio::task::spawn_blocking(move || process_on(Path::new("/proc"), port)).await.ok().flatten()
        }
        None => None,
    };
    match holder {
        Some(holder) => format!("port {port} is already in use on the host, {holder}"),
        None => format!("port {port} is already in use on the host"),
    }
}

/// The port that a message says is taken. Every engine and every version has its own words for it.
fn taken(message: &str) -> Option<u16> {
    let signs = ["port is already allocated", "address already in use", "address is already in use"];
    let end = signs.iter().filter_map(|sign| message.find(sign)).min()?;
    // `Bind for 0.0.0.0:8001 failed: …`, `listen tcp4 0.0.0.0:8001: bind: …`, `bind host port for [::]:8001:172.17.0.2:80`:
    // it is the number after the first address.
    let address = r"(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:]+\]|:[0-9a-fA-F:]*|\*):(\d{1,5})\b";
    let found = regex::Regex::new(address).ok()?.captures(message.get(..end)?)?;
    found.get(1)?.as_str().parse().ok().filter(|port| *port != 0)
}

fn publishes(container: &ContainerSummary, port: u16) -> bool {
    container.ports.iter().flatten().any(|published| published.public_port == Some(port))
}

fn describe(container: &ContainerSummary) -> String {
    let name = container.names.iter().flatten().next().map_or("?", |name| name.trim_start_matches('/'));
    match container.labels.as_ref().and_then(|labels| labels.get(compose::PROJECT)) {
        Some(project) => format!("by container {name} (compose project {project})"),
        None => format!("by container {name}"),
    }
}

/// The process that listens on a port, as far as its owner lets us see it.
fn process_on(proc: &Path, port: u16) -> Option<String> {
    let inodes: Vec<String> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(proc.join(table)).ok())
        .flat_map(|table| {
            listeners(&table).filter(|(on, _)| *on == port).map(|(_, inode)| inode).collect::<Vec<_>>()
        })
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for process in fs::read_dir(proc).ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|target| links.iter().any(|link| target == Path::new(link)))
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("by process {} (pid {pid})", name.trim()));
        }
    }
    None
}

/// The ports that are listened on, with their inodes, out of a table such as `/proc/net/tcp`.
pub(super) fn listeners(table: &str) -> impl Iterator<Item = (u16, String)> {
    table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let (_, port) = local.rsplit_once(':')?;
        (state == "0A").then_some((u16::from_str_radix(port, 16).ok()?, inode.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_every_wording() {
        for (message, port) in [
            (
                "driver failed programming external connectivity on endpoint foo (0f3a): Bind for 0.0.0.0:8001 failed: \
                 port is already allocated",
                Some(8001),
            ),
            (
                "driver failed programming external connectivity on endpoint foo (0f3a): Error starting userland \
                 proxy: listen tcp4 0.0.0.0:8002: bind: address already in use",
                Some(8002),
            ),
            (
                "failed to set up container networking: … Bind for :::8003 failed: port is already allocated",
                Some(8003),
            ),
            (
                "failed to bind host port for 0.0.0.0:8004:172.17.0.2:80/tcp: address already in use",
                Some(8004),
            ),
            ("rootlessport listen tcp 127.0.0.1:8005: bind: address already in use", Some(8005)),
            ("exec: \"x:80\": executable file not found", None),
        ] {
            assert_eq!(taken(message), port, "{message}");
        }
    }

    #[test]
    fn listening_sockets_are_told_from_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0
   1: 0100007F:1F42 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 12346 1 0 20 4 30 10 -1
";
        assert_eq!(listeners(table).collect::<Vec<_>>(), [(8001, "12345".to_owned())]);
    }

    #[test]
    fn a_process_is_found_by_its_socket() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let found = process_on(Path::new("/proc"), port).unwrap();
        assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
    }
}
