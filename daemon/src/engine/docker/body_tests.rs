use super::*;
use crate::engine::spec::{EndpointSpec, Shares};
use devd_compose::model::{Logging, Port, PortRange, Span, Ulimit};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const OLD: Api = Api(1, 41);
const NEW: Api = V25;

fn port(target: u16, published: Option<(u16, u16)>, host_ip: Option<&str>) -> Port {
    Port {
        host_ip: host_ip.map(str::to_owned),
        published: published.map(|(first, last)| PortRange { first, last }),
        target,
        protocol: "tcp".to_owned(),
        mode: "ingress".to_owned(),
        name: None,
        app_protocol: None,
        span: Span::default(),
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn rich() -> ContainerSpec {
    let service = Service {
        cap_add: texts(["NET_ADMIN"]),
        cap_drop: texts(["ALL"]),
        command: Some(texts(["serve", "--fast"])),
        nano_cpus: Some(500_000_000),
        dns: texts(["1.1.1.1"]),
        entrypoint: Some(Vec::new()),
        expose: texts(["3000", "53/udp", "9000-9001"]),
        extra_hosts: texts(["host.docker.internal=host-gateway", "six=::1"]),
        group_add: texts(["audio"]),
        healthcheck: Some(Healthcheck {
            test: Some(texts(["CMD-SHELL", "true"])),
            interval: Some(Duration::from_secs(2)),
            timeout: Some(Duration::from_millis(500)),
            retries: Some(4),
            start_period: Some(Duration::from_secs(10)),
            start_interval: Some(Duration::from_secs(1)),
            disable: false,
        }),
        hostname: Some("box".to_owned()),
        init: Some(true),
        logging: Some(Logging { driver: Some("json-file".to_owned()), options: pairs([("max-size", "1m")]) }),
        mem_limit: Some(64 << 20),
        ports: vec![
            port(80, Some((8080, 8080)), Some("127.0.0.1")),
            port(80, Some((9080, 9090)), None),
            port(81, None, None),
        ],
        privileged: true,
        read_only: true,
        restart: Some(model::RestartPolicy::OnFailure { max_retries: Some(4) }),
        security_opt: texts(["no-new-privileges:true", "systempaths=unconfined"]),
        shm_size: Some(1 << 20),
        stdin_open: true,
        stop_grace_period: Some(Duration::from_millis(3500)),
        stop_signal: Some("SIGINT".to_owned()),
        sysctls: pairs([("net.core.somaxconn", "1024")]),
        tty: true,
        ulimits: [
            ("nofile".to_owned(), Ulimit::Range { soft: 1, hard: 2 }),
            ("nproc".to_owned(), Ulimit::Single(9)),
        ]
        .into(),
        user: Some("1000:1000".to_owned()),
        working_dir: Some("/app".to_owned()),
        ..Default::default()
    };
    let at = |network: &str| EndpointSpec {
        network: network.to_owned(),
        aliases: texts(["api", "shop-api-1"]),
        links: texts(["shop-db-1:database"]),
        attachment: model::Attachment::default(),
    };
    ContainerSpec {
        name: "shop-api-1".to_owned(),
        image: "shop-api".to_owned(),
        service,
        env: texts(["A=1", "UNSET"]),
        networks: vec![
            at("shop_back"),
            EndpointSpec {
                attachment: model::Attachment {
                    ipv4_address: Some("10.0.0.9".to_owned()),
                    ..Default::default()
                },
                ..at("shop_default")
            },
        ],
        volumes: BTreeMap::new(),
        shares: Shares::default(),
        labels: pairs([("x", "y")]),
        publish: true,
        restart: true,
        auto_remove: true,
        park: None,
    }
}

#[test]
fn deploy_and_grants_reach_the_body() {
    let deploy = model::Deploy {
        restart_policy: Some(model::DeployRestart {
            condition: Some("on-failure".to_owned()),
            max_attempts: Some(2),
            ..Default::default()
        }),
        resources: model::Resources {
            limits: Some(model::Resource { memory: Some(1 << 30), ..Default::default() }),
            reservations: None,
        },
        ..Default::default()
    };
    let grant =
        model::Grant { source: "key".to_owned(), file: "/home/me/key.txt".into(), ..Default::default() };
    let mut spec = rich();
    spec.service.deploy = Some(deploy);
    spec.service.secrets = vec![grant.clone()];
    spec.service.configs = vec![model::Grant { target: Some("/etc/key".to_owned()), ..grant }];
    spec.service.host.domainname = Some("example.com".to_owned());
    let body = json_of(&spec, NEW);
    let file = |target: &str| json!({ "Type": "bind", "Source": "/home/me/key.txt", "Target": target, "ReadOnly": true });
    assert_eq!(body["HostConfig"]["Mounts"], json!([file("/run/secrets/key"), file("/etc/key")]));
    assert_eq!(body["HostConfig"]["RestartPolicy"], json!({ "Name": "on-failure", "MaximumRetryCount": 2 }));
    assert_eq!(body["HostConfig"]["Memory"], 1 << 30);
    assert_eq!(body["Domainname"], "example.com");
}

fn json_of(spec: &ContainerSpec, can: Api) -> Value {
    serde_json::to_value(creation(spec, "sha256:1", can).unwrap().body).unwrap()
}

#[test]
fn a_rich_service_is_translated_whole() {
    let expected = json!({
        "Hostname": "box",
        "User": "1000:1000",
        "AttachStdout": true,
        "AttachStderr": true,
        "ExposedPorts": { "3000/tcp": {}, "53/udp": {}, "80/tcp": {}, "81/tcp": {}, "9000/tcp": {}, "9001/tcp": {} },
        "Tty": true,
        "OpenStdin": true,
        "Env": ["A=1", "UNSET"],
        "Cmd": ["serve", "--fast"],
        "Healthcheck": {
            "Test": ["CMD-SHELL", "true"],
            "Interval": 2_000_000_000,
            "Timeout": 500_000_000,
            "Retries": 4,
            "StartPeriod": 10_000_000_000_i64,
        },
        "Image": "shop-api",
        "WorkingDir": "/app",
        "Entrypoint": [],
        "Labels": { "x": "y", "com.docker.compose.image": "sha256:1" },
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
        "HostConfig": {
            "Memory": 64 << 20,
            "NanoCpus": 500_000_000,
            "Init": true,
            "Ulimits": [{ "Name": "nofile", "Soft": 1, "Hard": 2 }, { "Name": "nproc", "Soft": 9, "Hard": 9 }],
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "1m" } },
            "NetworkMode": "shop_back",
            "PortBindings": {
                "80/tcp": [
                    { "HostIp": "127.0.0.1", "HostPort": "8080" },
                    { "HostIp": "", "HostPort": "9080-9090" },
                ],
                "81/tcp": [{ "HostIp": "", "HostPort": "" }],
            },
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 4 },
            "AutoRemove": true,
            "CapAdd": ["CAP_NET_ADMIN"],
            "CapDrop": ["ALL"],
            "Dns": ["1.1.1.1"],
            "ExtraHosts": ["host.docker.internal:host-gateway", "six:::1"],
            "GroupAdd": ["audio"],
            "Privileged": true,
            "ReadonlyRootfs": true,
            "SecurityOpt": ["no-new-privileges:true"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
            "ShmSize": 1 << 20,
            "Sysctls": { "net.core.somaxconn": "1024" },
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                "shop_back": { "Links": ["shop-db-1:database"], "Aliases": ["api", "shop-api-1"] },
            },
        },
    });
    assert_eq!(json_of(&rich(), OLD), expected);
    let connect = creation(&rich(), "sha256:1", OLD).unwrap().connect;
    assert_eq!(
        serde_json::to_value(&connect).unwrap(),
        json!([["shop_default", {
            "IPAMConfig": { "IPv4Address": "10.0.0.9" },
            "Links": ["shop-db-1:database"],
            "Aliases": ["api", "shop-api-1"],
        }]])
    );
}

#[test]
fn a_newer_engine_takes_all_at_once() {
    let body = json_of(&rich(), NEW);
    assert_eq!(body["Healthcheck"]["StartInterval"], json!(1_000_000_000));
    assert!(body["NetworkingConfig"]["EndpointsConfig"]["shop_default"].is_object());
    assert!(creation(&rich(), "", NEW).unwrap().connect.is_empty());
}

#[test]
fn publishing_and_restarting_are_asked_for() {
    let body = json_of(&ContainerSpec { publish: false, restart: false, ..rich() }, OLD);
    assert_eq!(body["HostConfig"]["PortBindings"], Value::Null);
    assert_eq!(body["HostConfig"]["RestartPolicy"], Value::Null);
    assert_eq!(body["ExposedPorts"]["80/tcp"], json!({}));
}

#[test]
fn what_is_not_said_is_not_sent() {
    let spec = ContainerSpec {
        service: Service::default(),
        networks: Vec::new(),
        env: Vec::new(),
        labels: BTreeMap::new(),
        auto_remove: false,
        ..rich()
    };
    let expected = json!({
        "AttachStdout": true,
        "AttachStderr": true,
        "Image": "shop-api",
        "Labels": { "com.docker.compose.image": "sha256:1" },
        "HostConfig": {},
    });
    assert_eq!(json_of(&spec, OLD), expected);
}

#[test]
fn a_shared_network_exposes_nothing() {
    let mut spec = ContainerSpec { networks: Vec::new(), publish: false, ..rich() };
    spec.shares.network = Some("shop-db-1".to_owned());
    spec.service.network_mode = Some(NetworkMode::Service("db".to_owned()));
    let body = json_of(&spec, OLD);
    assert_eq!(body["HostConfig"]["NetworkMode"], json!("container:shop-db-1"));
    assert_eq!(body["ExposedPorts"], Value::Null);
    assert_eq!(body["NetworkingConfig"], Value::Null);
}

#[test]
fn a_health_check_can_be_switched_off() {
    let mut spec = rich();
    spec.service.healthcheck = Some(Healthcheck { disable: true, ..Default::default() });
    assert_eq!(json_of(&spec, OLD)["Healthcheck"], json!({ "Test": ["NONE"] }));
}
