//! The same file, brought up by `docker compose` and by devd: what `docker inspect` says of the containers, networks and
//! volumes must be the same but for what devd adds.

use crate::citizen::{NOT_COMPARED, SHAPES, compose_ok, has_compose, world};
use crate::support::{World, docker};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields of every group that a container, a network or a volume can have on an engine of API 1.41.
const ALL: (&str, &[(&str, &str)]) = (
    "services:
  web:
    image: busybox:1
    annotations: {com.example.note: text}
    blkio_config: {weight: 300}
    cap_add: [NET_ADMIN]
    cap_drop: [CHOWN]
    cgroup_parent: ''
    command: [sleep, '1000']
    configs: [{source: settings, target: /etc/settings, mode: 0440}]
    cpu_shares: 512
    cpus: 0.5
    cpuset: '0'
    depends_on: {db: {condition: service_started, restart: true}}
    device_cgroup_rules: ['c 1:3 mr']
    devices: ['/dev/null:/dev/nothing:rw']
    dns: [10.1.2.3]
    dns_opt: [ndots:2]
    dns_search: [example.com]
    domainname: example.com
    entrypoint: [/bin/sh, -c, 'exec \"$$@\"', sh]
    environment: {A: '1', B: 'two words', EMPTY: ''}
    env_file: [web.env]
    expose: [7000, '7100-7102/udp']
    extra_hosts: ['one.local:10.0.0.1', 'host.docker.internal:host-gateway']
    group_add: ['1234']
    healthcheck: {test: [CMD, 'true'], interval: 1m, timeout: 3s, retries: 4, start_period: 5s}
    hostname: webhost
    init: true
    ipc: shareable
    labels: {com.example.a: b}
    links: ['db:database']
    logging: {driver: json-file, options: {max-size: 1m, max-file: '3'}}
    mac_address: 02:42:ac:11:aa:02
    mem_limit: 64m
    mem_reservation: 32m
    mem_swappiness: 10
    memswap_limit: 128m
    networks:
      front: {aliases: [www], priority: 10}
      back: {}
    oom_score_adj: 100
    pids_limit: 100
    ports: ['0:80', '127.0.0.1:0:81/udp', {target: 82, host_ip: 127.0.0.1}]
    privileged: false
    restart: on-failure:3
    runtime: runc
    secrets: [token]
    security_opt: ['no-new-privileges:true']
    shm_size: 32m
    stdin_open: true
    stop_grace_period: 3s
    stop_signal: KILL
    sysctls: {net.core.somaxconn: '2048'}
    tmpfs: ['/run', '/tmp:size=1m']
    tty: true
    ulimits: {nproc: 100, nofile: {soft: 1000, hard: 2000}}
    user: '1000:1000'
    volumes:
      - data:/data
      - /anonymous
      - ./site:/site:ro
      - {type: bind, source: ./site, target: /other, bind: {propagation: private}}
      - {type: volume, source: data, target: /more, volume: {nocopy: true}, read_only: true}
      - {type: tmpfs, target: /cache, tmpfs: {size: 1m, mode: 0700}}
    working_dir: /tmp
  db:
    image: redis:7
    stop_signal: KILL
    deploy:
      resources: {limits: {cpus: '0.3', memory: 100M, pids: 50}, reservations: {memory: 20M}}
      restart_policy: {condition: on-failure, max_attempts: 2}
    healthcheck: {disable: true}
    networks: [back]
  beside:
    image: busybox:1
    command: sleep 1000
    stop_signal: KILL
    network_mode: bridge
    pid: service:web
    ipc: service:web
  quiet:
    image: busybox:1
    command: sleep 1000
    stop_signal: KILL
    healthcheck: {test: echo here}
    network_mode: none
    read_only: true
    restart: always
    userns_mode: host
    uts: host
    cgroup: private
networks:
  front: {driver: bridge, driver_opts: {com.docker.network.bridge.enable_icc: 'false'}, labels: {a: b}, attachable: true}
  back: {internal: true, ipam: {config: [{subnet: 10.213.7.0/24, gateway: 10.213.7.1, ip_range: 10.213.7.128/25}]}}
volumes:
  data: {labels: {c: d}, driver: local}
configs: {settings: {file: ./settings}}
secrets: {token: {file: ./token}}
",
    &[("web.env", "FROM_FILE=yes\n"), ("site/index.html", "hello\n"), ("settings", "a=b\n"), ("token", "hush\n")],
);

/// What `docker inspect` says of everything of the project, by name.
fn inspected(world: &World) -> BTreeMap<String, Value> {
    let filter = format!("label=com.docker.compose.project={}", world.project);
    let mut all = BTreeMap::new();
    for kind in ["container", "network", "volume"] {
        let listed = match kind {
            "container" => docker(&["ps", "-aq", "--filter", &filter]),
            kind => docker(&[kind, "ls", "-q", "--filter", &filter]),
        };
        for id in listed.lines() {
            let text = docker(&[kind, "inspect", id]);
            let found: Value = serde_json::from_str(&text).unwrap();
            let name = found[0]["Name"].as_str().unwrap().trim_start_matches('/').to_owned();
            all.insert(format!("{kind} {name}"), found[0].clone());
        }
    }
    all
}

/// Without what is of the moment, and what devd adds.
fn comparable(found: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let ids: BTreeMap<String, String> =
        found.iter().filter_map(|(name, it)| Some((it["Id"].as_str()?.to_owned(), name.clone()))).collect();
    let each = found.into_iter().map(|(name, mut it)| {
        // Compose makes networks and volumes anew over this hash, so devd leaves it to compose.
        if let Some(labels) = it["Labels"].as_object_mut() {
            labels.remove("com.docker.compose.config-hash");
        }
        (name, clean(it, &ids))
    });
    each.collect()
}

fn clean(value: Value, ids: &BTreeMap<String, String>) -> Value {
    const OF_THE_MOMENT: [&str; 24] = [
        "Id",
        "Created",
        "CreatedAt",
        "State",
        "ResolvConfPath",
        // Health checks under way at this moment.
        "ExecIDs",
        "HostnamePath",
        "HostsPath",
        "LogPath",
        "GraphDriver",
        "SandboxID",
        "SandboxKey",
        "EndpointID",
        "NetworkID",
        "IPAddress",
        "IPPrefixLen",
        "Gateway",
        "GlobalIPv6Address",
        "HostPort",
        "MacAddress",
        "Containers",
        "Mountpoint",
        "Ports",
        "RestartCount",
    ];
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(key, _)| {
                let ours = key.starts_with("dev.devd.") || key == "com.docker.compose.version";
                !ours && !OF_THE_MOMENT.contains(&key.as_str())
            });
            let kept = kept.map(|(key, value)| (key, clean(value, ids)));
            // What is empty is as good as not said.
            let kept = kept.filter(|(_, value)| ![json!(null), json!([]), json!({})].contains(value));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(|value| clean(value, ids)).collect();
            list.sort_by_key(ToString::to_string);
            Value::Array(list)
        }
        Value::String(text) => {
            let text =
                ids.iter().fold(text, |text, (id, name)| text.replace(id, name).replace(&id[..12], name));
            // Networks out of the engine's own pool, and names of anonymous volumes.
            if ["172.", "192.168."].iter().any(|pool| text.starts_with(pool)) {
                return json!("(any)");
            }
            let is_name = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            let words = text.split('/').map(|word| if is_name(word) { "(anonymous)" } else { word });
            json!(words.collect::<Vec<_>>().join("/"))
        }
        other => other,
    }
}

/// What is meant to differ: links are only names to devd, so that they may go in circles, and order nothing.
fn is_meant(at: &str) -> bool {
    at.ends_with(".Labels.com.docker.compose.depends_on") || at.ends_with(".Links")
}

fn differences(at: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let of = |object: &Map<String, Value>| object.get(key).cloned().unwrap_or_default();
                differences(&format!("{at}.{key}"), &of(a), &of(b), found);
            }
        }
        _ if theirs == ours => {}
        _ => found.push(format!("{at}\n  compose: {theirs}\n  devd:    {ours}")),
    }
}

#[test]
fn the_engine_shows_what_compose_makes_of_the_same_file() {
    for shape in SHAPES.iter().chain([&ALL]) {
        let world = world(shape);
        if !has_compose(&world) {
            println!("{NOT_COMPARED}");
            return;
        }
        compose_ok(&world, &["up", "-d", "--quiet-pull"]);
        let theirs = comparable(inspected(&world));
        compose_ok(&world, &["down", "--volumes"]);
        world.expect(0, &["up"]);
        let ours = comparable(inspected(&world));
        world.expect(0, &["down", "--volumes"]);
        assert_eq!(world.leftovers(), "");
        assert!(theirs.len() > 1);
        let mut found = Vec::new();
        differences("", &json!(theirs), &json!(ours), &mut found);
        let has_links = shape.0.contains("links:");
        found.retain(|it| !(has_links && is_meant(it.lines().next().unwrap_or_default())));
        assert!(found.is_empty(), "{}\n{}", shape.0, found.join("\n"));
    }
}
