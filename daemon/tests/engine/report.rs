//! Results out of the file that the runner writes.

use crate::support::World;
use serde_json::Value;

const TESTS: &str = "import pytest
def test_good(): pass
def test_bad():
    assert 1 == 2
@pytest.mark.skip(reason='not today')
def test_later(): pass
";

#[test]
fn results_come_out_of_the_report_and_its_absence_is_said() {
    let mut world = World::empty();
    let compose = "services:\n  app:\n    build: ./app\n    command: sleep 1000\n    stop_signal: KILL\n    \
                   x-devd: {tests: {report: 'out/*.xml'}}\n";
    world.write("compose.yaml", compose);
    world.write("app/Dockerfile", "FROM busybox:1\n");
    // What it prints says nothing of the tests.
    let command = "sh -c 'python3 -m pytest -p no:cacheprovider --junitxml=out/report.xml /app >/dev/null'";
    world.write(
        "app/compose.yaml",
        &format!("services:\n  tests:\n    image: python:3-slim\n    command: {command}\n    working_dir: /work\n    volumes: ['.:/app']\n"),
    );
    world.write("app/test_app.py", TESTS);
    world.start();
    world.expect(0, &["up"]);
    // In an environment made for it, and in one that stood ready.
    let mut last = Value::Null;
    for round in 0..2 {
        last = world.until_tested("app", "failed", &last)["tests"]["run"].clone();
        let run = world.json(&["runs", "show", last.as_str().unwrap()]);
        let counts = [&run["passed"], &run["failed"], &run["skipped"]].map(|count| count.as_u64());
        assert_eq!(counts, [Some(1), Some(1), Some(1)], "round {round}: {run:#}");
        let failure = &run["failures"][0];
        assert!(failure["name"].as_str().unwrap().ends_with("test_app.test_bad"), "{failure:#}");
        assert!(failure["message"].as_str().unwrap().contains("assert 1 == 2"), "{failure:#}");
        assert_eq!(failure["file"], world.root.join("app/test_app.py").display().to_string(), "{failure:#}");
        assert_eq!(failure["line"], 4, "{failure:#}");
        world.until_tidy(1);
        world.write("app/test_app.py", &format!("{TESTS}# {round}\n"));
    }
    last = world.until_tested("app", "failed", &last)["tests"]["run"].clone();
    world.replace("compose.yaml", "out/*.xml", "nowhere.xml");
    world.expect(0, &["up"]);
    world.write("app/test_app.py", "def test_good(): pass\n");
    let run = world.until_tested("app", "passed", &last)["tests"]["run"].as_str().unwrap().to_owned();
    let log = world.expect(0, &["logs", "--run", &run]).0;
    assert!(log.contains("devd: no report: there is no nowhere.xml in the container"), "{log}");
    world.expect(0, &["down"]);
    assert_eq!(world.leftovers(), "");
}
