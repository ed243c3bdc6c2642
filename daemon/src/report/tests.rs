//! Outputs of real runners in `samples`, and what is read from them, beside them. `UPDATE_EXPECT=1` writes the latter.

use super::*;
use expect_test::expect_file;
use proptest::prelude::*;
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

macro_rules! samples {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("samples/", $name, ".txt")))),*]
    };
}

const SAMPLES: &[(&str, &str)] = samples![
    "cargo",
    "cargo-nocapture",
    "cargo-quiet",
    "go",
    "go-broken",
    "go-json",
    "go-verbose",
    "jest",
    "jest-broken-colour",
    "minitest",
    "mocha",
    "mocha-tap",
    "nextest",
    "node-spec",
    "node-tap",
    "phpunit",
    "pytest",
    "pytest-collection",
    "pytest-colour",
    "pytest-line",
    "pytest-native",
    "pytest-nested",
    "pytest-quiet-short",
    "rspec",
    "tape",
    "unittest",
    "unittest-buffer",
    "unittest-ok",
    "unittest-verbose",
    "vitest-broken-colour",
    "vitest-colour",
    "vitest-frames",
];

fn sample(name: &str) -> &'static str {
    SAMPLES.iter().find(|(known, _)| *known == name).unwrap().1
}

#[test]
fn samples_are_read() {
    let (folder, map) = project();
    let mut seen = 0;
    for (name, output) in SAMPLES {
        let file = format!("samples/{name}.expected");
        expect_file![file].assert_eq(&render(parse(output.as_bytes(), &map), folder.path()));
        seen += 1;
    }
    assert!(seen > 20);
}

/// The counts alone.
#[track_caller]
fn check(output: &str, expected: &str) {
    let (folder, map) = project();
    let text = render(parse(output.as_bytes(), &map), folder.path());
    assert_eq!(text.lines().next(), Some(expected), "{output}");
}

#[test]
fn unittest() {
    let rule = "-".repeat(70);
    let ran = |tests: u32, status: &str| format!("{rule}\nRan {tests} tests in 0.001s\n\n{status}\n");
    check(&ran(5, "OK"), "5 passed, 0 failed, 0 skipped");
    check(&ran(0, "NO TESTS RAN"), "0 passed, 0 failed, 0 skipped");
    // Two suites one after the other.
    check(&(ran(5, "OK") + &ran(3, "OK")), "8 passed, 0 failed, 0 skipped");
    // A skip that no mark tells of may be of a whole class.
    check(&ran(5, "OK (skipped=1)"), "? passed, 0 failed, 1 skipped");
    // Failures without their blocks: nobody knows in how many tests.
    check(&ran(5, "FAILED (failures=2)"), "? passed, ? failed, 0 skipped");
    for odd in ["OK (miracles=1)", "KO", ""].map(|status| ran(5, status)) {
        check(&odd, "nothing");
        check(&(ran(5, "OK") + &odd), "nothing");
    }
    check(&(ran(5, "OK") + &ran(5, "").replace("\n\n\n", "\n")), "nothing");
}

#[test]
fn pytest() {
    let quiet = |summary: &str| format!("..F [100%]\n{summary}\n");
    let long = quiet("1 failed, 2 passed, 1 warning in 61.20s (0:01:01)");
    check(&long, "2 passed, 1 failed, 0 skipped");
    // One after the other, or one inside of the other: nobody knows.
    check(&(quiet("2 passed in 0.1s") + &quiet("1 failed, 2 passed in 0.1s")), "nothing");
    check(&(sample("pytest").to_owned() + "1 failed in 0.1s\n"), "nothing");
    // Two whole sessions are two.
    check(&sample("pytest").repeat(2), "6 passed, 10 failed, 4 skipped");
    check("==== no tests ran in 0.01s ====\n", "0 passed, 0 failed, 0 skipped");
    check("==== 3 sheep in 0.1s ====\n", "nothing");
    check(&sample("pytest")[..900], "nothing");
}

#[test]
fn cargo() {
    let one = "\nrunning 1 test\ntest a ... ok\n\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
    let nested = format!(
        "running 2 tests\ntest b ... FAILED\n\nfailures:\n\n---- b stdout ----\n{one}\n\nfailures:\n    b\n\n\
         test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
    );
    check(&nested, "1 passed, 1 failed, 0 skipped");
    check(&format!("{one}{one}"), "2 passed, 0 failed, 0 skipped");
    // A binary that died in the middle, or whose numbers do not add up.
    check(&format!("{one}\nrunning 3 tests\ntest a ... ok\n"), "nothing");
    check(&one.replace("running 1", "running 2"), "nothing");
    check(&one.replace("running 1 test\n", ""), "nothing");
}

#[test]
fn go() {
    // A test's own output swallowed the verdict.
    let swallowed = sample("go-verbose").replace("--- PASS: TestOk", "no line end--- PASS: TestOk");
    check(&swallowed, "? passed, 2 failed, ? skipped");
    let ended = "=== RUN   TestA\n--- PASS: TestA (0.00s)\nok  \texample.com/a\t0.1s\n";
    check(ended, "1 passed, 0 failed, 0 skipped");
    check(&format!("{ended}=== RUN   TestB\n"), "nothing");
    let events = sample("go-json").trim_end().rsplit_once('\n').unwrap().0;
    check(events, "nothing");
    let dead = sample("go-json")
        .lines()
        .filter(|line| !line.contains("\"Action\":\"fail\",") || !line.contains("Test\":"));
    let dead: String = dead.map(|line| format!("{line}\n")).collect();
    check(&dead, "? passed, ? failed, ? skipped");
}

#[test]
fn javascript() {
    check(
        "Test Suites: 1 passed, 1 total\nTests:       1 failed, 4 passed, 5 total\n",
        "4 passed, 1 failed, 0 skipped",
    );
    check("Test Suites: 1 passed, 1 total\nTests:       1 failed, 4 passed, 6 total\n", "nothing");
    check("Tests:       1 failed, 4 passed, 5 total\n", "nothing");
    check(&sample("vitest-frames").replace("(4)", "(5)"), "nothing");
    check("  5 passing (12ms)\n", "5 passed, 0 failed, 0 skipped");
    check("  5 passing grades\n", "nothing");
}

#[test]
fn tap() {
    let directives =
        "TAP version 14\n1..4\nok 1 - a\nnot ok 2 - b # TODO later\nok 3 # skip no net\nok - c # todo\n";
    check(directives, "2 passed, 0 failed, 2 skipped");
    check("1..0 # SKIP nothing here\n", "0 passed, 0 failed, 0 skipped");
    for odd in [
        "1..3\nok 1\nok 2\n",
        "ok 1\nok 2\n",
        "1..2\nok 1\nok 3\n",
        "1..1\nok 1\n1..1\nok 1\n",
        "1..2\nok 1\nBail out! no database\n",
    ] {
        check(odd, "nothing");
    }
}

#[test]
fn ruby_and_php() {
    check("0 examples, 0 failures, 2 errors occurred outside of examples\n", "0 passed, 2 failed, 0 skipped");
    check("1 example, 0 failures\n", "1 passed, 0 failed, 0 skipped");
    check("OK (5 tests, 9 assertions)\n", "5 passed, 0 failed, 0 skipped");
    check("OK (1 test, 1 assertion)\n", "1 passed, 0 failed, 0 skipped");
    check("OK, but …!\nTests: 5, Assertions: 9, Risky: 1.\n", "? passed, 0 failed, 0 skipped");
    check("Tests: 5, Assertions: 9, Wonders: 1.\n", "nothing");
}

#[test]
fn what_is_no_runner_gives_nothing() {
    check("", "nothing");
    check("hello\nok\nFAIL\nOK\nall 5 tests passed\n5 passed\nTests: 5\n", "nothing");
    // Two runners: one of them may only have been shown by the other.
    check(&(sample("cargo").to_owned() + sample("unittest-ok")), "nothing");
}

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
    for (name, sample) in SAMPLES {
        let whole = parse(sample.as_bytes(), &map);
        assert!(whole.is_some(), "{name}");
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
                assert_eq!(parser.finish(&map), whole, "{name}");
            }
        }
    }
}

#[test]
fn garbage_does_no_harm() {
    let (_folder, map) = project();
    let mut random = Random(0xBAD);
    for round in 0..400 {
        let mut bytes = SAMPLES[round % SAMPLES.len()].1.as_bytes().to_vec();
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
fn absurd_numbers_do_no_harm() {
    let (_folder, map) = project();
    let mut text = String::new();
    for number in ["4294967295", "500000"] {
        let parts = |part: &str| {
            vec![format!("{number} {part}"); 4000].join(if part == "passed |" { " " } else { ", " })
        };
        text.push_str(&format!("== {} in 0.1s ==\n", parts("error")));
        text.push_str(&format!("Test Suites: {number} failed, {number} total\nTests: {}\n", parts("todo")));
        text.push_str(&format!(
            "Test Files  {number} failed ({number})\nTests  {} ({number})\n",
            parts("passed |")
        ));
        text.push_str(&format!(
            "Tests: {number}, Assertions: {}.\n",
            vec![format!("Errors: {number}"); 4000].join(", ")
        ));
        text.push_str(&format!("Ran {number} tests in 1s\n\nFAILED (failures={number}, errors={number})\n"));
        text.push_str(&format!("{number} examples, {number} failures, {number} pending\n"));
        text.push_str(&format!(
            "{number} runs, 1 assertions, {number} failures, {number} errors, {number} skips\n"
        ));
        text.push_str(&format!(
            "ℹ tests {number}\nℹ suites 1\nℹ pass {number}\nℹ fail {number}\nℹ cancelled {number}\n"
        ));
        text.push_str(&format!("ℹ skipped {number}\nℹ todo {number}\n1..{number}\n"));
    }
    for _ in 0..9000 {
        text.push_str("  500000 passing (1s)\n  500000 pending\n  500000 failing\n");
        text.push_str("running 500000 tests\ntest result: ok. 500000 passed; 500000 failed; 1 ignored; 500000 measured\n");
        text.push_str("Test Suites: 1 passed, 1 total\nTests: 500000 passed, 500000 total\n");
        text.push_str(&format!("{}\nRan 500000 tests in 1s\n\nOK\n", "-".repeat(70)));
    }
    for line in text.lines() {
        parse(line.as_bytes(), &map);
    }
    parse(text.as_bytes(), &map);
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

#[test]
fn an_indent_of_other_characters_than_the_first_is_cut_at_one() {
    let (_folder, map) = project();
    let output = "=== test session starts ===\n=== FAILURES ===\n___ test_x ___\nE  assert 1\nE \u{3000}\u{3000}1 != 2\n\
                  === 1 failed in 0.1s ===\n";
    let summary = parse(output.as_bytes(), &map).unwrap();
    assert_eq!(summary.failures[0].message, "assert 1\n\u{3000}\u{3000}1 != 2");
}

/// A line of a runner, with some of its text replaced.
fn line() -> impl Strategy<Value = String> {
    let lines: Vec<&'static str> = SAMPLES.iter().flat_map(|(_, sample)| sample.lines()).collect();
    let text = "\\PC{0,20}|[ \u{3000}\u{a0}\t=_:.E>-]{0,20}|[0-9]{1,12}";
    let known =
        (prop::sample::select(lines), any::<prop::sample::Index>(), any::<prop::sample::Index>(), text)
            .prop_map(|(line, from, to, text)| {
                let mut at = [from, to].map(|index| line.floor_char_boundary(index.index(line.len() + 1)));
                at.sort_unstable();
                format!("{}{text}{}", &line[..at[0]], &line[at[1]..])
            });
    prop_oneof![4 => known, 1 => text.prop_map(String::from)]
}

/// One sample, with some lines replaced by those of any.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<&'static str> = SAMPLES.iter().map(|(_, sample)| *sample).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), line()), 0..30);
    let mixed = (prop::sample::select(samples), changes).prop_map(|(sample, changes)| {
        let mut lines: Vec<String> = sample.lines().map(str::to_owned).collect();
        for (at, line) in changes {
            let at = at.index(lines.len());
            lines[at] = line;
        }
        lines.join("\n").into_bytes()
    });
    prop_oneof![4 => mixed, 1 => prop::collection::vec(any::<u8>(), 0..400)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_output_in_any_pieces_is_survived(
        output in output(),
        pieces in prop::collection::vec((1..200usize, any::<bool>()), 1..50),
    ) {
        let mut parser = Parser::new();
        let mut rest = &output[..];
        for (size, stdout) in pieces.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(size.min(rest.len()));
            parser.feed(if stdout { Stream::Stdout } else { Stream::Stderr }, piece);
            rest = after;
        }
        parser.finish(&PathMap::default());
    }
}
