//! The client's side of the protocol, against answers written by hand: order, exit codes, interruptions.

use crate::scripted::{Asked, Reply, events, json, lines, listen, problem, text};
use crate::support::{Outcome, World, outcome, run};
use devd_proto::frame::{Kind, encode};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;

fn world(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (World, Receiver<Asked>) {
    let world = World::new();
    world.make_socket_folder();
    let asked = listen(&world.socket(), answer);
    (world, asked)
}

fn service(name: &str, state: &str) -> Value {
    json!({
        "name": name, "state": state, "health": "none", "reason": null, "container": null,
        "ports": [{"host_ip": "0.0.0.0", "host": 8001, "container": 8000, "protocol": "tcp"}],
        "since": "2026-05-01T12:00:00.000Z", "restarts": 0, "last_exit": null, "last_change": null,
        "tests": {"state": "none", "current": false, "run": null, "started_at": null, "duration_ms": null,
                  "passed": null, "failed": null, "skipped": null},
        "of_a_newer_daemon": [1, 2, 3]
    })
}

fn project(revision: u64, settled: bool, state: &str, services: &[Value]) -> Value {
    json!({"name": "shop", "root": "/p/shop", "state": state, "error": null, "revision": revision,
           "settled": settled, "services": services})
}

fn status_event(id: u64, status: &Value) -> Value {
    json!({"id": id, "at": "2026-05-01T12:00:00.000Z", "project": "shop", "kind": "status", "status": status})
}

fn resolved(registered: bool) -> Reply {
    json(&json!({"project": "shop", "root": "/p/shop", "registered": registered}))
}

fn unknown_project() -> Reply {
    problem(&json!({"title": "no project shop", "status": 404, "code": "unknown_project"}))
}

fn unexpected(asked: &Asked) -> Reply {
    problem(&json!({"title": format!("unexpected: {}", asked.line), "status": 500, "code": "internal"}))
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// Waits for a request, and for those before it.
fn wait_for(asked: &Receiver<Asked>, line: &str) -> Asked {
    let mut seen = Vec::new();
    while let Ok(next) = asked.recv_timeout(std::time::Duration::from_secs(20)) {
        if next.line == line {
            return next;
        }
        seen.push(next.line);
    }
    panic!("{line} was not asked for, only {seen:?}");
}

fn registered() -> Reply {
    json(&json!({"project": "shop", "revision": 5, "warnings": [
        {"severity": "warning", "code": "x", "message": "m", "rendered": "warning: `Service 1` is a bind mount\n"}]}))
}

#[test]
fn up_shows_the_way_and_ends_when_the_request_is_done() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/projects" => registered(),
        "GET /v1/events?project=shop" => events(&[
            status_event(1, &project(4, true, "stopped", &[])),
            status_event(2, &project(5, false, "starting", &[service("web", "starting")])),
            json!({"id": 3, "at": "x", "project": "shop", "kind": "of_a_newer_daemon"}),
            status_event(4, &project(6, true, "running", &[service("web", "running")])),
        ]),
        "GET /v1/projects/shop" => json(&project(3, true, "stopped", &[])),
        _ => unexpected(asked),
    });
    let up = run(world.command(&["up", "web", "--build"]).env("GREETING", "hi"));
    assert_eq!(up.code, 0, "{}{}", up.out, up.err);
    assert_eq!(
        up.out, "SERVICE   STATE     ADDRESS\nweb       running   http://localhost:8001\n",
        "{}",
        up.err
    );
    assert_eq!(up.err, "warning: `Service 1` is a bind mount\nweb: starting\nweb: running\n");
    let request: Value = serde_json::from_str(&wait_for(&asked, "POST /v1/projects").body).unwrap();
    assert_eq!(request["services"], json!(["web"]));
    assert_eq!((&request["build"], &request["start"]), (&json!(true), &json!(true)));
    assert_eq!(request["env"]["GREETING"], "hi");
    assert_eq!(request["dir"], fs::canonicalize(world.path("home")).unwrap().to_str().unwrap());
}

#[test]
fn up_that_fails_shows_the_last_words() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/projects" => registered(),
        "GET /v1/events?project=shop" => events(&[]),
        "GET /v1/projects/shop" => {
            let mut web = service("web", "backoff");
            web["reason"] = json!("exited with code 1; next try in 4s");
            web["last_exit"] =
                json!({"code": 1, "at": "2026-05-01T12:00:00.000Z", "output": ["NameError: x"]});
            json(&project(5, true, "degraded", &[web]))
        }
        _ => unexpected(asked),
    });
    let up = world.run(&["up"]);
    assert_eq!(up.code, 1, "{}", up.err);
    let told = "\nweb: exited with code 1; next try in 4s\n  | NameError: x\n";
    assert!(up.err.ends_with(told), "{}", up.err);
    let as_json = world.run(&["up", "--json"]);
    assert_eq!(as_json.code, 1);
    assert_eq!(serde_json::from_str::<Value>(&as_json.out).unwrap()["services"][0]["state"], "backoff");
}

#[test]
fn ctrl_c_ends_the_wait_and_not_the_work() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/projects" => registered(),
        "GET /v1/events?project=shop" => events(&[]),
        "GET /v1/projects/shop" => json(&project(5, false, "starting", &[service("web", "starting")])),
        _ => unexpected(asked),
    });
    let mut up = spawn(&mut world.command(&["up"]));
    let mut err = BufReader::new(up.stderr.take().unwrap()).lines();
    while err.next().unwrap().unwrap() != "web: starting" {}
    interrupt(&up);
    let rest: Vec<String> = err.map(Result::unwrap).collect();
    assert!(rest.concat().starts_with("interrupted: devd goes on bringing shop up"), "{rest:?}");
    assert_eq!(outcome(up).code, 130);
    assert!(asked.try_iter().all(|asked| !asked.line.starts_with("DELETE")));
}

#[test]
fn files_that_do_not_load_are_shown_as_the_daemon_shows_them() {
    let (world, _asked) = world(|_| {
        problem(&json!({"type": "about:blank", "title": "compose.yaml does not load", "status": 422,
            "code": "invalid_project", "diagnostics": [{"severity": "error", "code": "unknown_key",
            "message": "unknown key `imagee`", "file": "/p/compose.yaml", "line": 3, "column": 5,
            "help": "did you mean `image`?",
            "rendered": "error: unknown key `imagee`\n  --> compose.yaml:3:5\nhelp: did you mean `image`?\n"}]}))
    });
    for line in [&["up"][..], &["config"], &["test"], &["build"]] {
        let outcome = world.run(line);
        assert_eq!(outcome.code, 2, "{line:?}");
        assert_eq!(
            outcome.err,
            "error: unknown key `imagee`\n  --> compose.yaml:3:5\nhelp: did you mean `image`?\n"
        );
    }
    let as_json: Value = serde_json::from_str(&world.run(&["config", "--json"]).out).unwrap();
    assert_eq!(
        as_json,
        json!({"error": {"code": "invalid_project", "message": "unknown key `imagee`",
            "file": "/p/compose.yaml", "line": 3, "column": 5, "help": "did you mean `image`?"}})
    );
}

fn status_of(state: &str) -> Value {
    json!({"daemon": {"version": "99.0.0", "pid": 1, "uptime_ms": 1, "engine": {"state": "connected",
        "kind": "docker", "version": "20", "endpoint": "unix:///x"}},
        "projects": [project(1, true, "running", &[service("web", state)])]})
}

#[test]
fn status_is_about_now() {
    let (world, _asked) = world(|_| json(&status_of("running")));
    let status = world.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.err);
    assert!(status.out.starts_with("shop  running  /p/shop\n  SERVICE   STATE"), "{}", status.out);
    assert!(status.out.contains("8001->8000"), "{}", status.out);
    let unknown = world.run(&["status", "wbe"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
    assert_eq!(unknown.err, "error: no project has a service `wbe`\nhelp: did you mean `web`?\n");
}

#[test]
fn status_says_1_when_something_is_down() {
    let (world, _asked) = world(|_| json(&status_of("failed")));
    assert_eq!(world.run(&["status"]).code, 1);
    assert_eq!(world.run(&["status", "--json"]).code, 1);
}

#[test]
fn watching_prints_what_changes_until_ctrl_c() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "GET /v1/events" => events(&[
            json!({"id": 1, "at": "x", "project": "shop", "kind": "service", "service": "web",
                   "from": "running", "to": "failed", "reason": null}),
            status_event(2, &project(2, true, "degraded", &[service("web", "failed")])),
        ]),
        "GET /v1/status" => json(&status_of("running")),
        _ => unexpected(asked),
    });
    let mut watch = spawn(&mut world.command(&["status", "--watch", "--json"]));
    let mut out = BufReader::new(watch.stdout.take().unwrap()).lines();
    let states: Vec<Value> = out
        .by_ref()
        .take(2)
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .map(|status| status["projects"][0]["services"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["running", "failed"]);
    interrupt(&watch);
    assert_eq!(outcome(watch).code, 130);
}

fn finished(id: &str, service: &str, state: &str) -> Value {
    json!({"id": id, "project": "shop", "service": service, "state": state, "cause": "request", "paths": [],
        "content": "", "command": ["pytest"], "exit_code": 1, "reason": null,
        "started_at": "2026-05-01T12:00:00.000Z", "finished_at": "2026-05-01T12:00:01.000Z", "duration_ms": 412,
        "passed": 5, "failed": if state == "failed" { 2 } else { 0 }, "skipped": 0})
}

fn two_runs() -> Reply {
    json(&json!({"runs": [{"id": "r1", "service": "web"}, {"id": "r2", "service": "worker"}]}))
}

#[test]
fn tests_stream_their_output_and_end_with_a_verdict_each() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(false),
        "POST /v1/projects" => registered(),
        "POST /v1/runs" => two_runs(),
        "GET /v1/runs/r1/log?follow=true" => text("one\ntwo"),
        "GET /v1/runs/r2/log?follow=true" => text("three\r\n"),
        "GET /v1/runs/r1" => json(&finished("r1", "web", "passed")),
        // Not yet ended when its output has: the event tells.
        "GET /v1/runs/r2" => json(&finished("r2", "worker", "running")),
        "GET /v1/events?project=shop" => events(&[json!({"id": 1, "at": "x", "project": "shop",
            "kind": "run_finished", "run": finished("r2", "worker", "failed")})]),
        _ => unexpected(asked),
    });
    let test = world.run(&["test", "--", "-k", "x"]);
    assert_eq!(test.code, 1, "{}{}", test.out, test.err);
    let mut output: Vec<&str> = test.out.lines().collect();
    let verdicts = output.split_off(3);
    output.sort_unstable();
    assert_eq!(output, ["web    | one", "web    | two", "worker | three"]);
    assert_eq!(verdicts, ["web: passed 5 (0.4s)", "worker: failed 2 of 7 (0.4s)"]);
    let registration: Value = serde_json::from_str(&wait_for(&asked, "POST /v1/projects").body).unwrap();
    assert_eq!(registration["start"], false);
    let request: Value = serde_json::from_str(&wait_for(&asked, "POST /v1/runs").body).unwrap();
    assert_eq!(request, json!({"project": "shop", "services": [], "args": ["-k", "x"], "failed": false}));
}

#[test]
fn ctrl_c_cancels_the_runs() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/runs" => two_runs(),
        line if line.starts_with("GET /v1/runs/") => Reply::Open("text/plain", vec!["begun\n".to_owned()]),
        line if line.starts_with("DELETE /v1/runs/") => json(&json!({})),
        _ => unexpected(asked),
    });
    let mut test = spawn(&mut world.command(&["test"]));
    let mut out = BufReader::new(test.stdout.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().ends_with("| begun"));
    interrupt(&test);
    wait_for(&asked, "DELETE /v1/runs/r1");
    wait_for(&asked, "DELETE /v1/runs/r2");
    drop(out);
    assert_eq!(outcome(test).code, 130);
}

#[test]
fn exec_passes_everything_through() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/projects/shop/services/web/exec" => {
            let output = [encode(Kind::Stdout, b"out"), encode(Kind::Stderr, b"err")].concat();
            Reply::Upgrade { at_once: output, at_end_of_input: encode(Kind::Exit, &7i32.to_be_bytes()) }
        }
        _ => unexpected(asked),
    });
    let mut exec =
        spawn(world.command(&["exec", "-e", "A=1", "web", "sh", "-c", "exit 7"]).stdin(Stdio::piped()));
    exec.stdin.take().unwrap().write_all(b"select 1;").unwrap();
    let exec = outcome(exec);
    assert_eq!((exec.code, exec.out.as_str(), exec.err.as_str()), (7, "out", "err"));
    let request: Value =
        serde_json::from_str(&wait_for(&asked, "POST /v1/projects/shop/services/web/exec").body).unwrap();
    assert_eq!(request["cmd"], json!(["sh", "-c", "exit 7"]));
    assert_eq!((&request["tty"], &request["env"]), (&json!(false), &json!(["A=1"])));
    assert!(wait_for(&asked, "INPUT").body.contains("select 1;"));
}

#[test]
fn ctrl_c_ends_exec() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/projects/shop/services/db/exec" => {
            Reply::Upgrade { at_once: encode(Kind::Stdout, b"ready\n"), at_end_of_input: Vec::new() }
        }
        _ => unexpected(asked),
    });
    let mut exec = spawn(world.command(&["exec", "db", "psql"]).stdin(Stdio::piped()));
    // Held open, as a terminal is.
    let stdin = exec.stdin.take();
    let mut out = BufReader::new(exec.stdout.take().unwrap()).lines();
    assert_eq!(out.next().unwrap().unwrap(), "ready");
    interrupt(&exec);
    assert_eq!(outcome(exec).code, 130);
    drop(stdin);
}

#[test]
fn exec_in_a_service_that_does_not_run_says_so() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        _ => problem(&json!({"title": "web is not running", "status": 409, "code": "not_running",
                             "help": "devd start web"})),
    });
    let shell = world.run(&["shell", "web"]);
    assert_eq!((shell.code, shell.err.as_str()), (1, "error: web is not running\nhelp: devd start web\n"));
}

#[test]
fn logs_are_merged_by_time() {
    let (world, _asked) = world(|asked| {
        let line = |service: &str, second: u32, text: &str| {
            json!({"service": service, "stream": "stdout", "time": format!("2026-05-01T12:00:0{second}.000Z"),
                   "line": text})
        };
        match asked.line.as_str() {
            "POST /v1/resolve" => resolved(true),
            "GET /v1/projects/shop" => {
                json(&project(1, true, "running", &[service("db", "running"), service("web", "running")]))
            }
            "GET /v1/projects/shop/services/db/logs?follow=false&tail=5&timestamps=true&since=10m" => {
                lines(&[line("db", 1, "a"), line("db", 3, "c")])
            }
            "GET /v1/projects/shop/services/web/logs?follow=false&tail=5&timestamps=true&since=10m" => {
                lines(&[line("web", 2, "b"), line("web", 4, "d")])
            }
            _ => unexpected(asked),
        }
    });
    let logs = world.run(&["logs", "--tail", "5", "--since", "10m"]);
    assert_eq!((logs.code, logs.out.as_str()), (0, "db  | a\nweb | b\ndb  | c\nweb | d\n"), "{}", logs.err);
    let unknown = world.run(&["logs", "wbe"]);
    assert_eq!((unknown.code, unknown.err.contains("did you mean `web`?")), (2, true));
}

#[test]
fn a_daemon_that_goes_away_is_3() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "GET /v1/events" => Reply::Body(200, "text/event-stream", "id: 1\ndata: {\"id\":1}\n\n".to_owned()),
        _ => unexpected(asked),
    });
    let events = world.run(&["events"]);
    assert_eq!((events.code, events.out.as_str()), (3, "{\"id\":1}\n"));
    assert!(events.err.starts_with("error: the connection to devd was lost"), "{}", events.err);
}

#[test]
fn a_build_that_fails_is_1_and_its_output_is_shown() {
    let (world, _asked) = world(|_| {
        lines(&[
            json!({"kind": "output", "service": "web", "text": "Step 1/2"}),
            json!({"kind": "failed", "service": "web", "problem": {"title": "step 2 failed", "status": 422,
                   "code": "build_failed", "help": "look above"}}),
        ])
    });
    let build = world.run(&["build"]);
    assert_eq!((build.code, build.out.as_str()), (1, "web | Step 1/2\n"));
    assert_eq!(build.err, "error: web: step 2 failed\nhelp: look above\n");
}

#[test]
fn down_of_nothing_is_not_an_error() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(false),
        "DELETE /v1/projects/shop?volumes=false" | "GET /v1/projects/shop" => unknown_project(),
        "GET /v1/projects/blog" => {
            let mut stopped = service("web", "running");
            stopped["container"] = json!({"id": "c0ffee", "name": "blog-web-1"});
            json(&project(1, true, "running", &[service("db", "pending"), stopped]))
        }
        "DELETE /v1/projects/blog?volumes=true" => {
            json(&json!({"containers": 2, "networks": 1, "volumes": 1}))
        }
        _ => unexpected(asked),
    });
    let nothing: Outcome = world.run(&["down"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, "nothing to do: shop is not registered\n"));
    let named = world.run(&["down", "-p", "blog", "--volumes"]);
    assert_eq!(
        (named.code, named.out.as_str()),
        (0, "blog: removed 2 containers, 1 network, 1 volume; devd has forgotten it\n")
    );
    assert_eq!((nothing.err.as_str(), named.err.as_str()), ("", "stopping blog: web …\n"));
}

#[test]
fn ctrl_c_in_down_says_that_devd_goes_on() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "GET /v1/projects/shop" => json(&project(1, true, "running", &[])),
        "DELETE /v1/projects/shop?volumes=false" => Reply::Open("application/json", Vec::new()),
        _ => unexpected(asked),
    });
    let mut down = spawn(&mut world.command(&["down"]));
    let mut err = BufReader::new(down.stderr.take().unwrap()).lines();
    assert_eq!(err.next().unwrap().unwrap(), "stopping shop …");
    interrupt(&down);
    let rest: Vec<String> = err.map(Result::unwrap).collect();
    assert_eq!(rest.concat(), "interrupted: devd goes on taking shop down; `devd status` shows it");
    assert_eq!(outcome(down).code, 130);
}

#[test]
fn only_the_services_that_are_meant_are_followed() {
    let two = |web: &str| [service("db", "starting"), service("web", web)];
    let (world, _asked) = world(move |asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/projects/shop/services/web/restart" | "POST /v1/projects/shop/services/web/stop" => {
            json(&json!({"revision": 5}))
        }
        "GET /v1/events?project=shop" => events(&[
            status_event(1, &project(4, false, "running", &two("restarting"))),
            status_event(2, &project(5, true, "running", &two("running"))),
        ]),
        "GET /v1/projects/shop" => json(&project(3, true, "running", &two("running"))),
        _ => unexpected(asked),
    });
    let restart = world.run(&["restart", "web"]);
    assert_eq!((restart.code, restart.out.contains("db")), (0, false), "{}", restart.out);
    assert_eq!(restart.err, "restarting web …\nweb: restarting\nweb: running\n");
    let as_json = world.run(&["stop", "web", "--json"]);
    assert_eq!((as_json.code, as_json.err.as_str()), (0, ""));
}

#[test]
fn ctrl_c_in_stop_says_that_devd_goes_on() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/projects/shop/services/web/stop" => json(&json!({"revision": 5})),
        "GET /v1/events?project=shop" => events(&[]),
        "GET /v1/projects/shop" => json(&project(4, false, "running", &[service("web", "running")])),
        _ => unexpected(asked),
    });
    let mut stop = spawn(&mut world.command(&["stop", "web"]));
    let mut err = BufReader::new(stop.stderr.take().unwrap()).lines();
    assert_eq!(err.next().unwrap().unwrap(), "stopping web …");
    wait_for(&asked, "GET /v1/projects/shop");
    interrupt(&stop);
    let rest: Vec<String> = err.map(Result::unwrap).collect();
    assert_eq!(rest.concat(), "interrupted: devd goes on stopping web; `devd status` shows it");
    assert_eq!(outcome(stop).code, 130);
}

#[test]
fn a_service_that_is_none_has_no_runs() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "GET /v1/projects/shop" => json(&project(1, true, "running", &[service("web", "running")])),
        line if line.starts_with("GET /v1/runs?project=shop") => json(&json!({"runs": [], "next": null})),
        _ => unexpected(asked),
    });
    let unknown = world.run(&["runs", "wbe"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
    assert_eq!(unknown.err, "error: shop has no service `wbe`\nhelp: did you mean `web`?\n");
    assert_eq!(world.run(&["--json", "runs", "wbe"]).code, 2);
    assert_eq!(world.run(&["logs", "--run", "last", "wbe"]).err, unknown.err);
    let none = world.run(&["runs", "web"]);
    assert_eq!((none.code, none.out.as_str()), (0, "no test runs of shop/web yet: devd test\n"));
    let failed = world.run(&["logs", "--run", "last-failed", "web"]);
    assert_eq!(failed.code, 2);
    assert!(failed.err.starts_with("error: shop has no test run that failed of web\n"), "{}", failed.err);
}

#[test]
fn the_newest_run_is_shown_when_none_is_named() {
    let (world, _asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "GET /v1/runs?project=shop&limit=100" => json(
            &json!({"runs": [finished("r2", "web", "failed"), finished("r1", "web", "passed")], "next": null}),
        ),
        "GET /v1/runs/r2" => json(&finished("r2", "web", "failed")),
        _ => unexpected(asked),
    });
    let shown = world.run(&["runs", "show"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.starts_with("web: failed 2 of 7 (0.4s)\n  run         r2\n"), "{}", shown.out);
}

#[test]
fn config_is_of_the_registered_project_around() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        "POST /v1/config" => {
            json(&json!({"config": {"name": "shop"}, "yaml": "name: shop\n", "warnings": []}))
        }
        _ => unexpected(asked),
    });
    let dir_of = |line: &[&str]| {
        assert_eq!(world.run(line).code, 0, "{line:?}");
        let request: Value = serde_json::from_str(&wait_for(&asked, "POST /v1/config").body).unwrap();
        request["dir"].as_str().unwrap().to_owned()
    };
    assert_eq!(dir_of(&["config"]), "/p/shop");
    let home = fs::canonicalize(world.path("home")).unwrap();
    assert_eq!(dir_of(&["config", "--file", "compose.yaml"]), home.to_str().unwrap());
}

#[test]
fn parts_of_config_are_printed_one_a_line() {
    let (world, asked) = world(|asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(true),
        line if line.starts_with("POST /v1/config") => json(&json!({
            "config": {"name": "shop", "services": {"web": {}, "db": {}}, "networks": {"default": {}}},
            "yaml": "name: shop\n", "warnings": [], "images": ["pg", "shop-web"], "profiles": ["p"],
            "hashes": {"db": "d0", "web": "e1"}, "environment": {"A": "1"}
        })),
        _ => unexpected(asked),
    });
    for (line, out) in [
        (vec!["--services"], "db\nweb\n"),
        (vec!["--images"], "pg\nshop-web\n"),
        (vec!["--volumes"], ""),
        (vec!["--networks"], "default\n"),
        (vec!["--profiles"], "p\n"),
        (vec!["--hash", "*"], "db d0\nweb e1\n"),
        (vec!["--hash", "web"], "web e1\n"),
        (vec!["--hash", "web", "--json"], "{\"web\":\"e1\"}\n"),
        (vec!["--services", "--json"], "[\"db\",\"web\"]\n"),
        (vec!["--environment"], "A=1\n"),
        (vec!["--quiet"], ""),
    ] {
        let line: Vec<&str> = ["config"].into_iter().chain(line).collect();
        let shown = world.run(&line);
        assert_eq!((shown.code, shown.out.as_str()), (0, out), "{line:?}: {}", shown.err);
    }
    assert_eq!(world.run(&["config", "--show-secrets"]).code, 0);
    wait_for(&asked, "POST /v1/config?secrets=true");
    let shown = world.run(&["config", "--hash", "wbe"]);
    assert_eq!(shown.code, 2);
    assert!(shown.err.contains("there is no service `wbe`"), "{}", shown.err);
    assert_eq!(world.run(&["config", "--services", "--images"]).code, 2);
}

#[test]
fn the_daemon_is_started_and_waited_for() {
    let world = World::new();
    let fifo = world.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    world
        .put_devdd(&format!("#!/bin/sh\necho \"$NOTIFY_SOCKET $*\" > '{}'\nexec sleep 60\n", fifo.display()));
    let child = spawn(&mut world.command(&["config"]));
    // Blocks until devdd has written it.
    let said = fs::read_to_string(&fifo).unwrap();
    let (notify, arguments) = said.trim_end().split_once(' ').unwrap();
    assert_eq!(arguments, format!("--background --socket {}", world.socket().display()));
    let _asked = listen(&world.socket(), |asked| match asked.line.as_str() {
        "POST /v1/resolve" => resolved(false),
        "POST /v1/config" => {
            json(&json!({"config": {"name": "shop"}, "yaml": "name: shop\n", "warnings": []}))
        }
        _ => unexpected(asked),
    });
    UnixDatagram::unbound().unwrap().send_to(b"READY=1\n", notify).unwrap();
    let config = outcome(child);
    assert_eq!((config.code, config.out.as_str(), config.err.as_str()), (0, "name: shop\n", ""));
    assert!(!std::path::Path::new(notify).exists());
}

#[test]
fn daemon_stop_returns_when_the_process_has_gone() {
    use std::os::unix::process::ExitStatusExt as _;
    let mut process = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = process.id();
    let (world, _asked) = world(move |asked| match asked.line.as_str() {
        "GET /v1/version" => json(
            &json!({"version": "0.1.0", "api": "v1", "pid": pid, "started_at": "2026-05-01T12:00:00.000Z"}),
        ),
        _ => unexpected(asked),
    });
    let stop = world.run(&["daemon", "stop"]);
    assert_eq!((stop.code, stop.out), (0, format!("devd stopped (pid {pid}); services keep running\n")));
    assert_eq!(process.try_wait().unwrap().unwrap().signal(), Some(15));
}
