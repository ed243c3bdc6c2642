use super::*;
use devd_compose::Options;
use std::path::Path;

fn refused(dir: &Path, text: &str) -> Vec<String> {
    std::fs::write(dir.join("compose.yaml"), text).unwrap();
    let options = Options { dir: dir.to_owned(), ..Options::default() };
    let project = devd_compose::load(&options).unwrap_or_else(|error| panic!("{error}")).project;
    let name = |wrong: &Diagnostic| wrong.path.rsplit(['.', '[']).next().unwrap_or_default().to_owned();
    let shown = |wrong: &Diagnostic| {
        let (Some(line), Some(column)) = (wrong.line, wrong.column) else { return wrong.path.clone() };
        format!("{line}:{column} {}", name(wrong))
    };
    fields(&project).iter().map(shown).collect()
}

#[test]
fn every_field_that_is_not_applied_is_refused_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"
services:
  a:
    build:
      context: https://example.com/x.git
      additional_contexts: {b: .}
      cache_to: [type=local]
      entitlements: [network.host]
      isolation: default
      platforms: [linux/amd64]
      privileged: true
      provenance: true
      sbom: true
      secrets: [s]
      ssh: [default]
    credential_spec: {config: c}
    external_links: [x]
    mac_address: 02:42:ac:11:00:02
    models: [m]
    post_start: [{command: x}]
    pre_stop: [{command: x}]
    use_api_socket: true
    scale: 2
    cgroup: host
    ipc: service:b
    pid: service:b
    uts: service:b
    volumes_from: [b]
    pull_policy: daily
    deploy:
      resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: k, value: 1}}]}}
    volumes:
      - {type: npipe, source: x, target: /i}
      - {type: cluster, source: x, target: /b}
      - {type: volume, target: /v, volume: {labels: {a: b}}}
    networks:
      n:
        driver_opts: {a: b}
        gw_priority: 1
        interface_name: eth7
        ipv6_address: "2001::1"
        link_local_ips: [169.254.1.1]
        mac_address: x
        priority: 1
  b: {provider: {type: x}}
  c: {image: x, deploy: {replicas: 0}}
networks:
  n:
    enable_ipv4: true
    enable_ipv6: true
    ipam: {options: {a: b}}
secrets: {s: {file: compose.yaml}}
models: {m: {model: x}}
"#;
    let found = refused(dir.path(), text);
    let expected = [
        "16:5 credential_spec",
        "19:5 models",
        "22:5 use_api_socket",
        "31:34 generic_resources",
        "27:5 uts",
        "9:7 isolation",
        "33:9 volumes",
        "34:9 volumes",
        "45:7 provider",
    ];
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn a_secret_that_no_container_can_get_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let text = "services:
  a: {image: x, secrets: [unset], configs: [swarm, text]}
  b: {image: x, configs: [text], read_only: true}
secrets: {unset: {environment: NOBODY_SETS_THIS}}
configs: {swarm: {external: true}, text: {content: hush}}
";
    std::fs::write(dir.path().join("compose.yaml"), text).unwrap();
    let options = Options { dir: dir.path().to_owned(), ..Options::default() };
    let project = devd_compose::load(&options).unwrap_or_else(|error| panic!("{error}")).project;
    let found: Vec<String> = fields(&project).into_iter().map(|wrong| wrong.message).collect();
    let expected = [
        "the secret `unset` is the value of NOBODY_SETS_THIS, which is not set",
        "the config `swarm` is external: only a swarm keeps such",
        "the config `text` cannot be put into a container that is read-only",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_no_enabled_service_says_is_not_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = "services:\n  a: {image: x}\n  b: {image: x, use_api_socket: true, profiles: [p]}\n";
    assert!(refused(dir.path(), text).is_empty());
}
