//! Test environments that stand ready, when the daemon dies, and from one run to the next.

use crate::support::{World, docker, service};
use crate::survival::started;
use serde_json::Value;
use std::time::{Duration, Instant};

/// How often something is tried: few times with all other tests, more when the environment says so.
fn rounds(variable: &str, few: u32) -> u32 {
    std::env::var(variable).map_or(few, |rounds| rounds.parse().unwrap())
}

/// `DEVD_TEST_KILLS=80` spreads the kills over all that a save causes.
#[test]
fn whenever_the_daemon_is_killed_no_test_lives_on_and_nothing_is_left() {
    let rounds = rounds("DEVD_TEST_KILLS", 6);
    let mut world = World::example("shop");
    world.start();
    world.expect(0, &["up"]);
    world.until_tidy(2);
    let services = started(&world);
    let mut longest = Duration::ZERO;
    for round in 0..rounds {
        world.write("service2/saved.py", &format!("# {round}\n"));
        // From before the save is noticed to when the next environment stands: runs, removals and makings.
        std::thread::sleep(Duration::from_millis(u64::from(2000 * round / rounds)));
        world.kill_daemon();
        let killed = Instant::now();
        let filter = format!("label=dev.devd.project={}", world.project);
        let tests = ["ps", "-q", "--filter", &filter, "--filter", "label=dev.devd.park", "--filter"];
        let tests = [&tests[..], &["label=com.docker.compose.service=tests"]].concat();
        while !docker(&tests).is_empty() {
            assert!(killed.elapsed() < Duration::from_secs(60), "round {round}: a test lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
        longest = longest.max(killed.elapsed());
        world.start();
        world.until("tested", |status| {
            let tests = &service(status, "service2")["tests"];
            tests["state"] == "passed" && tests["current"] == true && status["settled"] == true
        });
    }
    // The last save was tested by some daemon, and what stands ready is that one's; also for the suite that was not run
    // in its time, because its verdict still holds.
    let last = world.service("service2")["tests"]["run"].clone();
    world.write("service2/saved.py", "# the end\n");
    world.until_tested("service2", "passed", &last);
    world.until_tidy(2);
    assert_eq!(started(&world), services, "a service was touched");
    println!("{rounds} kills; the last test was gone {longest:?} after its daemon at most");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}

/// `DEVD_TEST_RUNS=50` for more of them.
#[test]
fn no_run_sees_the_database_of_another() {
    let rounds = rounds("DEVD_TEST_RUNS", 8);
    let mut world = World::empty();
    let compose = "services:\n  app:\n    build: ./app\n    command: sleep 1000\n    stop_signal: KILL\n";
    world.write("compose.yaml", compose);
    world.write("app/Dockerfile", "FROM busybox:1\n");
    let tests = "services:\n  tests:\n    image: python:3-slim\n    command: python /app/check.py\n    \
                 volumes: ['.:/app']\n    depends_on: [db]\n  db:\n    image: redis:7\n";
    world.write("app/compose.yaml", tests);
    let check = "import redis\ndb = redis.Redis('db')\nassert db.get('mark') is None, 'somebody was here'\n\
                 db.set('mark', 'here')\n";
    world.write("app/check.py", check);
    world.start();
    world.expect(0, &["up"]);
    let mut last = world.until_tested("app", "passed", &Value::Null)["tests"]["run"].clone();
    let (mut warm, mut awaited) = (0, 0);
    for round in 0..rounds {
        world.write("app/check.py", &format!("{check}# {round}\n"));
        world.expect(0, &["saved", "app/check.py"]);
        last = world.until_tested("app", "passed", &last)["tests"]["run"].clone();
        let run = world.json(&["runs", "show", last.as_str().unwrap()]);
        let has = |name: &str| run["stages"].as_array().unwrap().iter().any(|stage| stage["name"] == name);
        warm += u32::from(has("warm"));
        awaited += u32::from(has("awaited"));
    }
    assert!(warm > 0, "no run took an environment that was made ahead");
    // Each save comes right after the verdict on the one before.
    assert!(awaited > 0, "no run waited for one in the making");
    println!("{rounds} runs, {warm} of them in environments made ahead, {awaited} after waiting for it");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
