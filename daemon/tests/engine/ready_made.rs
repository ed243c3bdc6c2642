//! Databases that were set up once, and start from there.

use crate::support::{PATIENCE, World, docker};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const COMPOSE: &str = "services:\n  app:\n    build: ./app\n    command: sleep 1000\n    stop_signal: KILL\n";
const PREPARED: &str = "    x-devd: {tests: {prepare: python3 /app/prepare.py}}\n";
const TESTS: &str = "
services:
  tests:
    image: python:3-slim
    command: python3 /app/check.py
    volumes: ['.:/app']
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres:15
    environment: {POSTGRES_PASSWORD: secret}
    healthcheck: {test: [CMD, pg_isready, -q, -h, 127.0.0.1], interval: 1s, retries: 60}
    volumes: ['./init:/docker-entrypoint-initdb.d:ro']
";
const CONNECT: &str = "import psycopg2, uuid
connection = psycopg2.connect(host='db', user='postgres', password='secret')
connection.autocommit = True
cursor = connection.cursor()
def value(query):
    cursor.execute(query)
    return cursor.fetchone()[0]
";
const PREPARE: &str = "cursor.execute(open('/app/migrations/1.sql').read())
cursor.execute('create table prepared (id text)')
cursor.execute('insert into prepared values (%s)', [str(uuid.uuid4())])
";
const CHECK: &str = "print('value', value('select value from made'))
print('prepared', value('select count(*) from prepared'), value('select id from prepared'))
cursor.execute('create table mark (x int)')
";

impl World {
    fn with_a_database(prepared: bool) -> Self {
        let mut world = Self::empty();
        world.write("compose.yaml", &format!("{COMPOSE}{}", if prepared { PREPARED } else { "" }));
        world.write("app/Dockerfile", "FROM busybox:1\n");
        world.write("app/compose.yaml", TESTS);
        world.write(
            "app/init/1.sql",
            "create table initial (value text); insert into initial values ('one');\n",
        );
        world.write(
            "app/migrations/1.sql",
            "create table made (value text); insert into made values ('one');\n",
        );
        world.write("app/prepare.py", &format!("{CONNECT}{PREPARE}"));
        let check = if prepared { CHECK } else { "print('value', value('select value from initial'))\n" };
        world.write("app/check.py", &format!("{CONNECT}{check}"));
        world.start();
        world.expect(0, &["up"]);
        world
    }

    /// Ids of what is kept of the project.
    fn snapshots(&self) -> BTreeSet<String> {
        let project = format!("label=dev.devd.project={}", self.project);
        let found = docker(&["images", "-q", "--filter", "label=dev.devd.snapshot", "--filter", &project]);
        found.lines().map(str::to_owned).collect()
    }

    /// Waits until something is kept that was not, and nothing is under way.
    fn until_kept(&self, before: &BTreeSet<String>) -> BTreeSet<String> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let now = self.snapshots();
            if !now.is_subset(before) {
                self.until_tidy(1);
                return self.snapshots();
            }
            // An image that is made is no event of devd's.
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nothing was kept\n--- log\n{}", self.log());
    }

    /// Saves, waits for the verdict, and says what the tests wrote and whether their environment stood ready.
    fn tested(&self, path: &str, line: &str) -> (String, bool) {
        let last = self.service("app")["tests"]["run"].clone();
        self.write(path, &format!("{}{line}\n", self.read(path)));
        self.expect(0, &["saved", path]);
        let run = self.until_tested("app", "passed", &last)["tests"]["run"].as_str().unwrap().to_owned();
        let log = self.expect(0, &["logs", "--run", &run]).0;
        let run = self.json(&["runs", "show", &run]);
        let has = |name: &str| run["stages"].as_array().unwrap().iter().any(|stage| stage["name"] == name);
        (log, has("warm") && !has("awaited"))
    }

    /// Images that the databases of ready environments were made from.
    fn databases(&self) -> Vec<String> {
        let project = format!("label=dev.devd.project={}", self.project);
        let service = "label=com.docker.compose.service=db";
        let found = docker(&["ps", "--filter", &project, "--filter", service, "--format", "{{.Image}}"]);
        found.lines().map(str::to_owned).collect()
    }
}

fn line<'a>(log: &'a str, word: &str) -> &'a str {
    log.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("no {word}: {log}"))
}

#[test]
fn a_database_is_set_up_once() {
    let mut world = World::with_a_database(false);
    world.until_tested("app", "passed", &Value::Null);
    let kept = world.until_kept(&BTreeSet::new());
    assert_eq!(kept.len(), 1);
    // The first environment was there before anything was kept; those after it start from that.
    world.tested("app/check.py", "#");
    world.until_tidy(1);
    assert!(
        world.databases().iter().all(|image| image.starts_with("devd-snapshot:")),
        "{:?}",
        world.databases()
    );
    for _ in 0..2 {
        let (log, ready) = world.tested("app/check.py", "#");
        assert_eq!(line(&log, "value"), "value one");
        assert!(ready, "the next one was not ready in time");
        world.until_tidy(1);
    }
    // Another daemon finds it, and makes an environment from it before anything is saved.
    world.kill_daemon();
    world.start();
    world.until_tidy(1);
    assert!(
        world.databases().iter().all(|image| image.starts_with("devd-snapshot:")),
        "{:?}",
        world.databases()
    );
    assert_eq!(world.snapshots(), kept);

    // What made it has changed: the very next run sees that.
    let (log, _) = world.tested("app/init/1.sql", "update initial set value = 'two';");
    assert_eq!(line(&log, "value"), "value two");
    let both = world.until_kept(&kept);
    assert_eq!(both.len(), 2, "what was kept for the other content stays for a while");
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
    assert_eq!(world.snapshots(), BTreeSet::new());
}

#[test]
fn what_prepares_the_tests_runs_once_for_each_content_of_its_files() {
    let world = World::with_a_database(true);
    world.until_tested("app", "passed", &Value::Null);
    let kept = world.until_kept(&BTreeSet::new());
    world.tested("app/check.py", "#");
    world.until_tidy(1);
    let (first, _) = world.tested("app/check.py", "#");
    world.until_tidy(1);
    let (second, _) = world.tested("app/check.py", "#");
    assert!(line(&first, "prepared").starts_with("prepared 1 "), "{first}");
    assert_eq!(line(&first, "prepared"), line(&second, "prepared"), "it was prepared again");

    world.until_tidy(1);
    let (log, _) = world.tested("app/migrations/1.sql", "update made set value = 'two';");
    assert_eq!(line(&log, "value"), "value two");
    assert_ne!(line(&log, "prepared"), line(&second, "prepared"));
    world.until_kept(&kept);

    // One that fails says so, and with what.
    world.write("app/migrations/1.sql", "create tabel made;\n");
    world.expect(0, &["saved", "app/migrations/1.sql"]);
    let service = world.until_tested("app", "error", &Value::Null);
    let run = world.json(&["runs", "show", service["tests"]["run"].as_str().unwrap()]);
    let reason = run["reason"].as_str().unwrap();
    assert!(reason.starts_with("`prepare` exited with 1: python3 /app/prepare.py\n"), "{reason}");
    assert!(reason.contains("syntax error at or near \"tabel\""), "{reason}");
    world.write("app/migrations/1.sql", "create table made (value text);\n");
    let (log, _) = world.tested("app/migrations/1.sql", "insert into made values ('three');");
    assert_eq!(line(&log, "value"), "value three");
    world.expect(0, &["down", "--volumes"]);
    assert_eq!(world.leftovers(), "");
    assert_eq!(world.snapshots(), BTreeSet::new());
}
