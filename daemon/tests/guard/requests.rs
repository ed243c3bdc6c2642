//! Requests that a careless or hostile program may send. Each is refused in a word, and the daemon is as it was.

use crate::support::{Answer, Devd, write};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

/// What takes a body, with one that is understood but for what a test adds.
fn bodies() -> Vec<(&'static str, Value)> {
    let source = json!({ "dir": "/nowhere" });
    vec![
        ("/v1/projects", source.clone()),
        ("/v1/resolve", source.clone()),
        ("/v1/config", source.clone()),
        ("/v1/build", json!({ "source": source })),
        ("/v1/saved", json!({ "paths": [] })),
        ("/v1/runs", json!({ "project": "nope" })),
        ("/v1/projects/shop/services/api/exec", json!({ "cmd": [] })),
    ]
}

#[test]
fn what_is_not_understood_is_refused_by_its_name() {
    let devd = Devd::start();
    for (route, good) in bodies() {
        let mut body = good.clone();
        body["colour"] = json!("red");
        let answer = devd.post(route, &body);
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{route}");
        assert!(answer.body.contains("unknown field `colour`"), "{route}: {}", answer.body);
        if good.get("source").is_some() {
            let body = json!({ "source": { "dir": "/nowhere", "colour": "red" } });
            assert!(devd.post(route, &body).body.contains("unknown field `colour`"), "{route}");
        }
        for nonsense in
            ["", "null", "[]", "7", "\"x\"", "{\"dir\":", "{\"dir\":\"/\"} x", "{} {}", "\u{feff}{}"]
        {
            let answer = devd.send("POST", route, nonsense);
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{route} {nonsense:?}");
        }
        let latin = devd.raw(
            &[format!("POST {route} HTTP/1.0\r\nContent-Length: 10\r\n\r\n").as_bytes(), b"{\"dir\xff\":1}"]
                .concat(),
        );
        assert_eq!(latin.code(), "bad_request", "{route}");
    }
    for target in [
        "/v1/runs?colour=red",
        "/v1/runs?limit=-1",
        "/v1/runs?limit=many",
        "/v1/runs?project=a&project=b",
        "/v1/runs?project=%ff",
        "/v1/why",
        "/v1/why?path=/x&colour=red",
        "/v1/events?colour=red",
        "/v1/projects/shop/services/api/logs?tail=x",
        "/v1/projects/shop/services/api/logs?colour=red",
        "/v1/runs/shop-1/log?follow=perhaps",
    ] {
        let answer = devd.get(target);
        assert!([400, 404].contains(&answer.status), "{target}: {answer:?}");
        answer.code();
    }
    devd.is_well();
}

#[test]
fn what_is_wrong_with_a_value_is_said_without_it() {
    let devd = Devd::start();
    for env in
        [json!("hush4711"), json!({ "A": ["hush4711"] }), json!({ "A": 4711 }), json!([{ "hush4711": 1 }])]
    {
        let answer = devd.post("/v1/projects", &json!({ "dir": "/", "env": env }));
        assert_eq!(answer.code(), "bad_request");
        assert!(!answer.body.contains("4711"), "{answer:?}");
        assert!(answer.body.contains("expected a"), "{answer:?}");
    }
    devd.is_well();
}

#[test]
fn paths_that_lead_astray_are_refused_or_nobodys() {
    let devd = Devd::start();
    write(&devd.path("outside"), "secret.py", "print(0)\n");
    let outside = devd.path("outside").canonicalize().unwrap();
    // There before it is looked at: that a link is new would be a change like any other.
    std::fs::create_dir_all(devd.path("shop/api")).unwrap();
    std::os::unix::fs::symlink(&outside, devd.path("shop/api/out")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret.py"), devd.path("shop/api/link.py")).unwrap();
    let root = devd.project();
    let inside = root.display();
    let long = format!("/{}", "x/".repeat(10_000));

    for path in ["", "main.py", "./main.py", "../etc/passwd", "~/x", "/a\0b"] {
        let answer = devd.post("/v1/saved", &json!({ "paths": [path] }));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{path:?}");
        let answer = devd.get(&format!("/v1/why?path={}", encoded(path)));
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{path:?}");
        for (route, _) in bodies().into_iter().take(4) {
            let source = json!({ "dir": path });
            let body = if route == "/v1/build" { json!({ "source": source }) } else { source };
            let answer = devd.post(route, &body);
            assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{route} {path:?}");
        }
    }
    for path in [
        "/",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        &long,
        &format!("{inside}/api/../../outside/secret.py"),
        &format!("{inside}/../outside/secret.py"),
        &format!("{inside}/api/out/secret.py"),
        &format!("{inside}-other/main.py"),
        &format!("{inside}/api/link.py"),
    ] {
        let answer = devd.post("/v1/saved", &json!({ "paths": [path] }));
        assert_eq!((answer.status, &answer.json()["scheduled"]), (202, &json!([])), "{path}");
    }
    for path in ["/etc/passwd", &format!("{inside}/api/../../outside/secret.py")] {
        let answer = devd.get(&format!("/v1/why?path={}", encoded(path)));
        assert_eq!((answer.status, &answer.json()["decisions"]), (200, &json!([])), "{path}");
    }
    // Dots that stay inside are only a way to write it.
    write(&root, "api/main.py", "print(2)\n");
    let answer = devd.post("/v1/saved", &json!({ "paths": [format!("{inside}/api/../api/./main.py")] }));
    assert_eq!(answer.json()["scheduled"][0]["service"], "api", "{answer:?}");
    devd.is_well();
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn ids_and_names_lead_nowhere() {
    let devd = Devd::start();
    devd.project();
    let names = [
        "..",
        "../history",
        "../../etc/passwd",
        "/etc/passwd",
        "shop-1/../shop-1",
        "shop-1.log",
        "shop-1\0",
        "shop-1\n",
        ".",
        "$(id)",
        "`id`",
        "; id",
        "%2e%2e%2fhistory",
        "-1",
        "shop'--",
        &"x".repeat(5000),
        "\u{202e}shop",
    ];
    for name in names {
        let name = encoded(name);
        for (method, target, code) in [
            ("GET", format!("/v1/runs/{name}"), "unknown_run"),
            ("GET", format!("/v1/runs/{name}/log"), "unknown_run"),
            ("GET", format!("/v1/runs/{name}/log?follow"), "unknown_run"),
            ("DELETE", format!("/v1/runs/{name}"), "unknown_run"),
            ("GET", format!("/v1/runs?before={name}"), "unknown_run"),
            ("GET", format!("/v1/projects/{name}"), "unknown_project"),
            ("DELETE", format!("/v1/projects/{name}"), "unknown_project"),
            ("POST", format!("/v1/projects/{name}/services/api/restart"), "unknown_project"),
            ("POST", format!("/v1/projects/shop/services/{name}/stop"), "unknown_service"),
            ("GET", format!("/v1/projects/shop/services/{name}/logs"), "unknown_service"),
        ] {
            let answer = devd.send(method, &target, "");
            assert_eq!((answer.status, answer.code().as_str()), (404, code), "{method} {target}");
            // A long name is not sent back and forth.
            assert!(answer.body.len() < 5000, "{}", answer.body.len());
        }
    }
    for name in names {
        let run = devd.post("/v1/runs", &json!({ "project": name }));
        assert_eq!(run.code(), "unknown_project", "{name:?}");
        let run = devd.post("/v1/runs", &json!({ "project": "shop", "services": [name] }));
        assert_eq!(run.code(), "unknown_service", "{name:?}");
        // What is not a name of a project does not become one.
        let register = json!({ "dir": devd.path("shop"), "project_name": name });
        let answer = devd.post("/v1/projects", &register);
        assert!([400, 422].contains(&answer.status) || plain(name), "{name:?}: {answer:?}");
    }
    let logs: Vec<_> =
        std::fs::read_dir(devd.path("state/runs")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(logs, ["shop-1.log"]);
    devd.is_well();
}

/// Whether compose takes it for a project's name.
fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
}

#[test]
fn what_is_too_large_is_refused_before_it_is_kept() {
    let devd = Devd::start();
    let megabytes = "x".repeat(5 << 20);
    for (route, _) in bodies() {
        let answer = devd.send("POST", route, &megabytes);
        assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"), "{route}");
        // Nothing of it has come.
        let said = format!("POST {route} HTTP/1.1\r\nHost: devd\r\nContent-Length: 99999999999999\r\n\r\n");
        assert_eq!(devd.raw(said.as_bytes()).status, 413, "{route}");
    }
    // Without a length, and with no end.
    let mut chunks = b"POST /v1/saved HTTP/1.1\r\nHost: devd\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..6 {
        chunks
            .extend(format!("{:x}\r\n", 1 << 20).bytes().chain("x".repeat(1 << 20).bytes()).chain(*b"\r\n"));
    }
    assert_eq!(devd.raw(&chunks).status, 413);
    // Chunks of a byte, each with more to say about itself than it brings.
    let mut chunks = b"POST /v1/saved HTTP/1.1\r\nHost: devd\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..4000 {
        chunks.extend(format!("1;{}\r\nx\r\n", "e".repeat(100)).bytes());
    }
    assert_eq!(devd.raw(&chunks).status, 400);
    let size = |text: &str| devd.raw(text.as_bytes()).status;
    assert_eq!(size(&format!("GET /{} HTTP/1.1\r\nHost: devd\r\n\r\n", "x".repeat(100_000))), 414);
    assert_eq!(size(&format!("GET / HTTP/1.1\r\nHost: devd\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))), 431);
    assert_eq!(size(&format!("GET / HTTP/1.1\r\nHost: devd\r\n{}\r\n", "X: y\r\n".repeat(500))), 431);
    devd.is_well();
}

#[test]
fn what_is_nested_deeply_or_repeated_often_is_refused() {
    let devd = Devd::start();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        for body in [deep.clone(), format!("{{\"dir\":{deep}}}"), format!("{{\"dir\":\"/\",\"env\":{deep}}}")]
        {
            assert_eq!(devd.send("POST", "/v1/projects", &body).code(), "bad_request");
        }
    }
    let twice = devd.send("POST", "/v1/projects", "{\"dir\":\"/a\",\"dir\":\"/b\"}");
    assert!(twice.code() == "bad_request" && twice.body.contains("duplicate field `dir`"), "{twice:?}");
    let many = json!({ "paths": vec!["/x"; 200_000] });
    assert_eq!(devd.post("/v1/saved", &many).status, 202);
    devd.is_well();
}

#[test]
fn what_is_no_http_is_refused() {
    let devd = Devd::start();
    let said: [&[u8]; 18] = [
        b"\r\n\r\n\r\n\0\0\0\0",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a TLS client says hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /v1/ status HTTP/1.1\r\n\r\n",
        b"GET /v1/status\0 HTTP/1.1\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost devd\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\n: devd\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"POST /v1/saved HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/saved HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/saved HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"POST /v1/saved HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"POST /v1/saved HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}",
        b"POST /v1/saved HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnumber\r\n{}",
        b"\xff\xfe\xfd\xfc /v1/status HTTP/1.1\r\n\r\n",
    ];
    for said in said {
        let answer = devd.raw(said);
        let told = String::from_utf8_lossy(said);
        assert!(answer.status == 400 || answer.head.is_empty(), "{told}: {answer:?}");
    }
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"] {
        let answer = devd.send(method, "/v1/status", "");
        assert!(
            answer.code() == "method_not_allowed" && answer.head.contains("\r\nallow: get,head"),
            "{answer:?}"
        );
    }
    for target in [
        "/",
        "/v1",
        "/v1/",
        "//v1/status",
        "/v1/status/",
        "/v1/../v1/status",
        "/v1/%73tatus",
        "*",
        "/v2/status",
    ] {
        assert_eq!(devd.get(target).code(), "not_found", "{target}");
    }
    devd.is_well();
}

/// A length and chunks at once are how requests are smuggled past who reads only one of them.
#[test]
fn a_request_of_two_lengths_brings_no_second_request() {
    let devd = Devd::start();
    let said = "POST /v1/saved HTTP/1.1\r\nHost: devd\r\nContent-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n\
                c\r\n{\"paths\":[]}\r\n0\r\n\r\nGET /v1/version HTTP/1.1\r\nHost: devd\r\nConnection: close\r\n\r\n";
    let answer = devd.raw(said.as_bytes());
    // Refused, or read by its chunks as the standard says, and what follows is a request like any other.
    assert!([202, 400].contains(&answer.status), "{answer:?}");
    devd.is_well();
}

#[test]
fn a_thousand_idle_connections_are_in_nobodys_way() {
    let Rlimit { current: _, maximum } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let devd = Devd::start();
    devd.project();
    let mut idle: Vec<_> = (0..1000).map(|_| devd.connect()).collect();
    // Half of them in the middle of a word.
    for stream in idle.iter_mut().step_by(2) {
        stream.write_all(b"GET /v1/stat").unwrap();
    }
    let asked = devd.get("/v1/projects/shop");
    assert_eq!((asked.status, &asked.json()["state"]), (200, &json!("running")));
    // Whoever goes on is answered as well.
    for stream in idle.iter_mut().step_by(100) {
        stream.write_all(b"us HTTP/1.0\r\n\r\n").unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert!(heard.starts_with("HTTP/1.0 200 OK"), "{heard}");
    }
    devd.is_well();
}

/// Systems give 256 or 1024, and let each process have more.
#[test]
fn few_files_to_begin_with_do_not_make_it_refuse_clients() {
    let devd = Devd::start_with_files("-S -n 256");
    let idle: Vec<_> = (0..300).map(|_| devd.connect()).collect();
    assert_eq!(devd.get("/v1/version").status, 200);
    devd.is_well();
    drop(idle);
}

#[test]
fn where_there_cannot_be_more_files_it_refuses_clients_before_it_runs_out() {
    let devd = Devd::start_with_files("-n 256");
    let idle: Vec<_> = (0..64).map(|_| devd.connect()).collect();
    let refused = devd.get("/v1/version");
    assert_eq!((refused.status, refused.code().as_str()), (503, "busy"));
    assert_eq!(refused.json()["title"], "devd has 64 connections already");
    drop(idle);
    // They are gone when the daemon has noticed, one after the other; the pause only keeps the machine free.
    for _ in 0..3000 {
        if devd.get("/metrics").body.lines().any(|line| line == "devd_clients 1") {
            return devd.is_well();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("nobody is let in again: {}", devd.log());
}

#[test]
fn clients_that_hang_up_leave_nothing_running() {
    let devd = Devd::start();
    devd.project();
    for _ in 0..50 {
        let mut events = devd.connect();
        events.write_all(b"GET /v1/events HTTP/1.1\r\nHost: devd\r\n\r\n").unwrap();
        let mut log = devd.connect();
        log.write_all(b"GET /v1/projects/shop/services/api/logs?follow HTTP/1.1\r\nHost: devd\r\n\r\n")
            .unwrap();
        assert!(events.read(&mut [0; 16]).unwrap() > 0);
        assert!(log.read(&mut [0; 16]).unwrap() > 0);
    }
    // A connection is gone when its file is. The pause only keeps the machine free.
    let open = || std::fs::read_dir(format!("/proc/{}/fd", devd.pid())).map_or(0, Iterator::count);
    for _ in 0..1000 {
        if open() < 50 {
            return devd.is_well();
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} files are open", open());
}

/// The answer to a request that is understood, so that the tests above do not pass for the wrong reason.
#[test]
fn a_good_request_is_answered() {
    let devd = Devd::start();
    let answer: Answer = devd.raw(b"POST /v1/saved HTTP/1.0\r\nContent-Length: 12\r\n\r\n{\"paths\":[]}");
    assert_eq!((answer.status, answer.json()), (202, json!({ "scheduled": [] })));
}

/// Queries were documented as parts of paths, and problems as plain JSON.
#[test]
fn the_document_says_where_parameters_stand_and_what_problems_are() {
    let devd = Devd::start();
    let document = devd.get("/v1/openapi.json").json();
    let (mut queries, mut problems) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let in_path = path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap()));
                assert_eq!(
                    parameter["in"],
                    if in_path { "path" } else { "query" },
                    "{method} {path} {parameter}"
                );
                queries += usize::from(!in_path);
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                for (kind, content) in response["content"].as_object().into_iter().flatten() {
                    let is_problem = content["schema"]["$ref"] == "#/components/schemas/Problem";
                    assert_eq!(is_problem, kind == "application/problem+json", "{method} {path} {status}");
                    problems += usize::from(is_problem);
                }
            }
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
    assert!(queries > 10 && problems > 40, "{queries} parameters of queries, {problems} problems");
}
