//! `post_start` and `pre_stop`.

use crate::support::World;

const COMPOSE: &str = "
services:
  web:
    image: busybox:1
    command: sleep 1000
    stop_signal: KILL
    user: root
    volumes: ['./seen:/seen']
    x-devd: {on_change: none}
    post_start:
      - command: [sh, -c, 'echo started by $$WHO as $$(id -u) in $$PWD >> /seen/log']
        environment: [WHO=me]
        user: '1000'
        working_dir: /tmp
      - {command: [sh, -c, 'sleep 0.3; echo ready >> /seen/log']}
    pre_stop: [{command: [sh, -c, 'echo stopping >> /seen/log']}]
  later:
    image: busybox:1
    command: cat /seen/log
    volumes: ['./seen:/seen']
    depends_on: [web]
    x-devd: {on_change: none}
";

#[test]
fn hooks_run_right_after_each_start_and_right_before_each_stop() {
    let mut world = World::empty();
    world.write("compose.yaml", COMPOSE);
    world.write("seen/log", "");
    let log = world.root.join("seen/log");
    std::fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    world.start();
    world.expect(0, &["up"]);
    let begun = "started by me as 1000 in /tmp\nready\n";
    assert_eq!(world.read("seen/log"), begun);
    // Whoever needs it to be started waits for them.
    world.until("read", |_| world.expect(0, &["logs", "--no-log-prefix", "later"]).0 == begun);
    world.expect(0, &["restart", "web"]);
    let again = format!("{begun}stopping\n{begun}");
    assert_eq!(world.read("seen/log"), again);
    world.expect(0, &["down"]);
    assert_eq!(world.read("seen/log"), format!("{again}stopping\n"));
    assert_eq!(world.leftovers(), "");
}

#[test]
fn a_hook_that_fails_is_told_and_keeps_nothing_from_being_stopped() {
    let mut world = World::empty();
    let text = "services:\n  web:\n    image: busybox:1\n    command: sleep 1000\n    stop_signal: KILL\n    stop_grace_period: 1s\n    \
                post_start: [{command: [sh, -c, 'echo no luck; exit 3']}]\n    pre_stop: [{command: [sleep, '1000']}]\n";
    world.write("compose.yaml", text);
    world.start();
    let (_, error) = world.expect(1, &["up"]);
    assert!(error.contains("post_start: `sh -c echo no luck; exit 3` exited with code 3"), "{error}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
