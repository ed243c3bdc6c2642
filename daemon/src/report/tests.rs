//! Outputs of real runners, and what is read from them.

use super::*;
use expect_test::{Expect, expect};
use std::path::Path;
use tempfile::TempDir;

const FILES: &[&str] = &[
    "a.test.js",
    "helper.js",
    "notes.py",
    "spec/x_spec.rb",
    "src/a.test.js",
    "src/a.test.ts",
    "src/bad.test.js",
    "src/helper.js",
    "src/helper.ts",
    "src/lib.rs",
    "sub/pkg/y_test.go",
    "t.js",
    "test/foo_test.rb",
    "test/x.js",
    "test_bad.py",
    "test_nested.py",
    "test_notes.py",
    "test_pt.py",
    "tests/FooTest.php",
    "tests/it.rs",
    "x_test.go",
];

/// A project whose files are mounted at `/usr/src/app`.
fn project() -> (TempDir, PathMap) {
    let folder = tempfile::tempdir().unwrap();
    for file in FILES {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    let app = "/usr/src/app".to_owned();
    let map = PathMap::new(vec![(app.clone(), folder.path().to_owned())], Some(app));
    (folder, map)
}

fn parse(output: &[u8], map: &PathMap) -> Option<Summary> {
    let mut parser = Parser::new();
    parser.feed(Stream::Stdout, output);
    parser.finish(map)
}

fn render(summary: Option<Summary>, root: &Path) -> String {
    let Some(summary) = summary else { return "nothing\n".to_owned() };
    let count = |count: Option<u32>| count.map_or("?".to_owned(), |count| count.to_string());
    let Summary { passed, failed, skipped, failures } = summary;
    let mut text =
        format!("{} passed, {} failed, {} skipped\n", count(passed), count(failed), count(skipped));
    for TestFailure { name, file, line, message } in failures {
        let file = file.map_or("-".to_owned(), |file| {
            Path::new(&file).strip_prefix(root).unwrap().to_str().unwrap().to_owned()
        });
        let line = line.map_or(String::new(), |line| format!(":{line}"));
        text.push_str(&format!("{name}\n  {file}{line}\n"));
        message.lines().take(6).for_each(|line| text.push_str(&format!("  | {line}\n")));
    }
    text
}

#[track_caller]
fn check(output: &str, expected: Expect) {
    let (folder, map) = project();
    expected.assert_eq(&render(parse(output.as_bytes(), &map), folder.path()));
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("samples/", $name, ".txt"))
    };
}

#[test]
fn unittest() {
    check(sample!("unittest"), expect![[]]);
    check(sample!("unittest-verbose"), expect![[]]);
    check(sample!("unittest-buffer"), expect![[]]);
    check(sample!("unittest-ok"), expect![[]]);
}

#[test]
fn unittest_in_odd_circumstances() {
    let rule = "-".repeat(70);
    let ran = |tests: u32, status: &str| format!([r#"
        5 passed, 0 failed, 0 skipped
    "#]);
    check(&ran(5, "OK"), expect![[]]);
    check(&ran(0, "NO TESTS RAN"), expect![[]]);
    // Two suites one after the other.
    check(&(ran(5, "OK") + &ran(3, "OK")), expect![[]]);
    // A skip that no mark tells of may be of a whole class.
    check(&ran(5, "OK (skipped=1)"), expect![[]]);
    // Failures without their blocks: nobody knows in how many tests.
    check(&ran(5, "FAILED (failures=2)"), expect![[]]);
    for odd in
        [ran(5, "OK (miracles=1)"), ran(5, "KO"), ran(5, ""), format!("{rule}\nRan 5 tests in 0.001s\n")]
    {
        check(&odd, expect![[]]);
        check(&(ran(5, "OK") + &odd), expect![[]]);
    }
}

#[test]
fn pytest() {
    check(sample!("pytest"), expect![[]]);
    check(sample!("pytest-quiet-short"), expect![[]]);
    check(sample!("pytest-colour"), expect![[]]);
    check(sample!("pytest-line"), expect![[]]);
    check(sample!("pytest-native"), expect![[]]);
    check(sample!("pytest-collection"), expect![[]]);
}

#[test]
fn pytest_inside_of_pytest_is_not_counted() {
    check(sample!("pytest-nested"), expect![[]]);
    let quiet = |summary: &str| format!("..F [100%]\n{summary}\n");
    check(&quiet("1 failed, 2 passed, 1 warning in 61.20s (0:01:01)"), expect![[]]);
    // One after the other, or one inside of the other: nobody knows.
    check(&(quiet("2 passed in 0.1s") + &quiet("1 failed, 2 passed in 0.1s")), expect![[]]);
    check(&(sample!("pytest").to_owned() + "1 failed in 0.1s\n"), expect![[]]);
    // Two whole sessions are two.
    check(&sample!("pytest-collection").repeat(2), expect![[]]);
    check("==== 3 sheep in 0.1s ====\n", expect![[]]);
    check("==== no tests ran in 0.01s ====\n", expect![[]]);
    check(&sample!("pytest")[..900], expect![[]]);
}

#[test]
fn cargo() {
    check(sample!("cargo"), expect![[]]);
    check(sample!("cargo-quiet"), expect![[]]);
    check(sample!("cargo-nocapture"), expect![[]]);
}

#[test]
fn cargo_in_odd_circumstances() {
    let one = "\nrunning 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    let nested = format!(
        "running 2 tests\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\n{one}\n\nfailures:\n    b\n\n\
         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
    );
    check(&nested, expect![[]]);
    check(&format!("{one}{one}"), expect![[]]);
    // A binary that died in the middle.
    check(&format!("{one}\nrunning 3 tests\ntest a ... ok\n"), expect![[]]);
    check(&one.replace("running 1", "running 2"), expect![[]]);
    check("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n", expect![[]]);
}

#[test]
fn nextest() {
    let output = "
    Finished `test` profile [unoptimized + debuginfo] target(s) in 0.02s
────────────
 Nextest run ID 7a8b with nextest profile: default
    Starting 3 tests across 2 binaries (1 test skipped)
        PASS [   0.003s] (1/3) sample tests::ok
        FAIL [   0.004s] (2/3) sample tests::fails
  stdout ───

    running 1 test
    test tests::fails ... FAILED

    failures:

    failures:
        tests::fails

    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s

  stderr ───

    thread 'tests::fails' (7) panicked at src/lib.rs:10:45:
    assertion `left == right` failed
      left: 3
     right: 4
    note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

        PASS [   0.003s] (3/3) sample::it fine
────────────
     Summary [   0.006s] 3 tests run: 2 passed, 1 failed, 1 skipped
        FAIL [   0.004s] (2/3) sample tests::fails
error: test run failed
";
    check(output, expect![[]]);
}

#[test]
fn go() {
    let output = "--- FAIL: TestTop (0.00s)
    x_test.go:7: got 1,
        want 2
    x_test.go:8: and more
--- FAIL: TestTable (0.00s)
    --- FAIL: TestTable/negative (0.00s)
        x_test.go:21: boom
FAIL
FAIL\texample.com/app\t0.002s
ok  \texample.com/app/fine\t0.001s
?   \texample.com/app/none\t[no test files]
FAIL
";
    check(output, expect![[]]);
    let verbose = "=== RUN   TestTop
    y_test.go:7: before the verdict
--- FAIL: TestTop (0.00s)
=== RUN   TestTable
=== RUN   TestTable/a
=== RUN   TestTable/b
    y_test.go:21: boom
--- FAIL: TestTable (0.00s)
    --- PASS: TestTable/a (0.00s)
    --- FAIL: TestTable/b (0.00s)
=== RUN   TestSkip
    y_test.go:30: not today
--- SKIP: TestSkip (0.00s)
=== RUN   TestOk
--- PASS: TestOk (0.00s)
FAIL
FAIL\texample.com/app/sub/pkg\t0.002s
=== RUN   TestOther
--- PASS: TestOther (0.00s)
PASS
ok  \texample.com/app/fine\t(cached)
testing: warning: no tests to run
PASS
ok  \texample.com/app/empty\t0.001s [no tests to run]
FAIL
";
    check(verbose, expect![[]]);
    // A test's own output swallowed the verdict.
    check(&verbose.replace("--- PASS: TestOk", "no line end--- PASS: TestOk"), expect![[]]);
    let broken = "# example.com/app [example.com/app.test]
./x_test.go:5:2: undefined: y
FAIL\texample.com/app [build failed]
panic: test timed out after 1s
running tests:
\tTestSlow (1s)
FAIL\texample.com/app/slow\t1.004s
FAIL
";
    check(broken, expect![[]]);
    check(
        "=== RUN   TestA\n--- PASS: TestA (0.00s)\nok  \texample.com/a\t0.1s\n=== RUN   TestB\n",
        expect![[]],
    );
}

#[test]
fn go_json() {
    let event = |action: &str, test: &str, output: &str| {
        let test = if test.is_empty() { String::new() } else { format!(",\"Test\":\"{test}\"") };
        let output = if output.is_empty() { String::new() } else { format!(",\"Output\":\"{output}\\n\"") };
        format!(
            "{{\"Time\":\"2026-01-01T00:00:00Z\",\"Action\":\"{action}\",\"Package\":\"example.com/app\"{test}{output}}}\n"
        )
    };
    let events = [
        event("start", "", ""),
        event("run", "TestA", ""),
        event("output", "TestA", "=== RUN   TestA"),
        event("run", "TestA/sub", ""),
        event("output", "TestA/sub", "    x_test.go:12: boom"),
        event("output", "TestA", "--- FAIL: TestA (0.00s)"),
        event("output", "TestA/sub", "    --- FAIL: TestA/sub (0.00s)"),
        event("fail", "TestA/sub", ""),
        event("fail", "TestA", ""),
        event("run", "TestB", ""),
        event("pass", "TestB", ""),
        event("run", "TestC", ""),
        event("skip", "TestC", ""),
        event("output", "", "FAIL\\texample.com/app\\t0.001s"),
        event("fail", "", ""),
    ];
    check(&events.concat(), expect![[]]);
    check(&events[..14].concat(), expect![[]]);
    let dead = [event("run", "TestA", ""), event("output", "TestA", "panic: oh"), event("fail", "", "")];
    check(&dead.concat(), expect![[]]);
}

#[test]
fn jest() {
    check(sample!("jest"), expect![[]]);
    check(sample!("jest-broken-colour"), expect![[]]);
    check("Test Suites: 1 passed, 1 total\nTests:       1 failed, 4 passed, 6 total\n", expect![[]]);
    check("Tests:       1 failed, 4 passed, 5 total\n", expect![[]]);
}

#[test]
fn vitest() {
    check(sample!("vitest-colour"), expect![[]]);
    check(sample!("vitest-broken-colour"), expect![[]]);
    let output = "
 FAIL  src/a.test.ts > suite > one
 FAIL  |web| src/a.test.ts > suite > two
Error: deep
 ❯ helper src/helper.ts:1:36
      1| export const helper = () => { throw new Error('deep') }
       |                                     ^
 ❯ src/a.test.ts:5:17

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯

 Test Files  1 failed (1)
      Tests  2 failed | 1 passed | 1 expected fail (4)
   Start at  12:00:00
";
    check(output, expect![[]]);
    check(&output.replace("(4)", "(5)"), expect![[]]);
}

#[test]
fn mocha() {
    check(sample!("mocha"), expect![[]]);
    check("  5 passing (12ms)\n", expect![[]]);
    check("  5 passing grades\n", expect![[]]);
}

#[test]
fn node() {
    check(sample!("node-spec"), expect![[]]);
    check(sample!("node-tap"), expect![[]]);
}

#[test]
fn tap() {
    check(sample!("tape"), expect![[]]);
    check(sample!("mocha-tap"), expect![[]]);
    check(
        "TAP version 14\n1..4\nok 1 - a\nnot ok 2 - b # TODO later\nok 3 # skip no net\nok - c # todo\n",
        expect![[]],
    );
    check("1..0 # SKIP nothing here\n", expect![[]]);
    for odd in [
        "1..3\nok 1\nok 2\n",
        "ok 1\nok 2\n",
        "1..2\nok 1\nok 3\n",
        "1..1\nok 1\n1..1\nok 1\n",
        "1..2\nok 1\nBail out! no database\n",
    ] {
        check(odd, expect![[]]);
    }
}

#[test]
fn rspec() {
    let output = "F.*

Pending: (Failures listed here are expected and do not affect your suite's status)

  1) Foo is pending
     # Not yet implemented
     # ./spec/x_spec.rb:20

Failures:

  1) Foo adds
     Failure/Error: expect(1 + 1).to eq 3

       expected: 3
            got: 2

       (compared using ==)
     # ./spec/x_spec.rb:6:in 'block (2 levels) in <top (required)>'

Finished in 0.01 seconds (files took 0.1 seconds to load)
3 examples, 1 failure, 1 pending

Failed examples:

rspec ./spec/x_spec.rb:5 # Foo adds
";
    check(output, expect![[]]);
    check("0 examples, 0 failures, 2 errors occurred outside of examples\n", expect![[]]);
    check("1 example, 0 failures\n", expect![[]]);
}

#[test]
fn minitest() {
    let output = "Run options: --seed 1

# Running:

F.E

Finished in 0.001s, 3000.0 runs/s, 3000.0 assertions/s.

  1) Failure:
FooTest#test_adds [test/foo_test.rb:7]:
Expected: 3
  Actual: 2

  2) Error:
FooTest#test_raises:
RuntimeError: boom
    test/foo_test.rb:11:in `test_raises'

3 runs, 2 assertions, 1 failures, 1 errors, 0 skips
";
    check(output, expect![[]]);
}

#[test]
fn phpunit() {
    let output = "PHPUnit 11.5.0 by Sebastian Bergmann and contributors.

There was 1 error:

1) FooTest::testThrows
RuntimeException: boom

/usr/src/app/tests/FooTest.php:20

--

There was 1 failure:

1) FooTest::testAdds
Failed asserting that 2 matches expected 3.

/usr/src/app/tests/FooTest.php:12

FAILURES!
Tests: 5, Assertions: 9, Errors: 1, Failures: 1, Skipped: 1.
";
    check(output, expect![[]]);
    check("OK (5 tests, 9 assertions)\n", expect![[]]);
    check("OK (1 test, 1 assertion)\n", expect![[]]);
    check("OK, but there were issues!\nTests: 5, Assertions: 9, Risky: 1.\n", expect![[]]);
    check("Tests: 5, Assertions: 9, Wonders: 1.\n", expect![[]]);
}

#[test]
fn what_is_no_runner_gives_nothing() {
    check("", expect![[]]);
    check("hello\nok\nFAIL\nOK\nall 5 tests passed\n5 passed\nTests: 5\n", expect![[]]);
    // Two runners: one of them may only have been shown by the other.
    check(&(sample!("cargo").to_owned() + sample!("unittest-ok")), expect![[]]);
}

const SAMPLES: &[&str] = &[
    sample!("unittest"),
    sample!("unittest-verbose"),
    sample!("pytest"),
    sample!("pytest-colour"),
    sample!("pytest-nested"),
    sample!("cargo"),
    sample!("jest"),
    sample!("vitest-colour"),
    sample!("mocha"),
    sample!("node-tap"),
    sample!("node-spec"),
    sample!("tape"),
];

/// A small generator of numbers that are random enough.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn the_size_of_the_pieces_and_the_other_stream_do_not_matter() {
    let (_folder, map) = project();
    let mut random = Random(0x5EED);
    for sample in SAMPLES {
        let whole = parse(sample.as_bytes(), &map);
        assert!(whole.is_some());
        for dos in [false, true] {
            let bytes =
                if dos { sample.replace('\n', "\r\n").into_bytes() } else { sample.as_bytes().to_vec() };
            for _ in 0..10 {
                let mut parser = Parser::new();
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at((1 + random.below(200)).min(rest.len()));
                    parser.feed(Stream::Stderr, piece);
                    parser.feed(Stream::Stdout, b"something\nelse");
                    rest = after;
                }
                assert_eq!(parser.finish(&map), whole);
            }
        }
    }
}

#[test]
fn garbage_does_no_harm() {
    let (_folder, map) = project();
    let mut random = Random(0xBAD);
    for round in 0..400 {
        let mut bytes = SAMPLES[round % SAMPLES.len()].as_bytes().to_vec();
        for _ in 0..20 {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = random.below(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, b'\n'),
                _ => bytes.extend_from_within(at..(at + random.below(300)).min(bytes.len())),
            }
        }
        parse(&bytes, &map);
    }
}

#[test]
fn much_output_costs_little() {
    let (_folder, map) = project();
    let mut parser = Parser::new();
    let huge = vec![b'='; 1 << 20];
    for _ in 0..20 {
        parser.feed(Stream::Stdout, &huge);
    }
    parser.feed(Stream::Stdout, b"\n");
    for number in 0..20_000 {
        parser
            .feed(Stream::Stdout, format!("=== RUN   Test{number}\n    x_test.go:1: {number}\n").as_bytes());
    }
    for number in 0..20_000 {
        parser.feed(Stream::Stdout, format!("--- FAIL: Test{number} (0.00s)\n").as_bytes());
    }
    parser.feed(Stream::Stdout, b"FAIL\texample.com/app\t1.0s\n");
    let summary = parser.finish(&map).unwrap();
    assert_eq!((summary.passed, summary.failed, summary.failures.len()), (Some(0), Some(20_000), 200));
}
