//! A report in JUnit's format: a suite a service. Tests that failed are named; of the others there is their number.

use devd_proto::{Run, TestsState};
use quick_xml::Writer;
use quick_xml::events::BytesText;
use std::io;

pub(super) fn report(runs: &[Run]) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(quick_xml::events::Event::Decl(quick_xml::events::BytesDecl::new(
        "1.0",
        Some("UTF-8"),
        None,
    )))?;
    writer.create_element("testsuites").write_inner_content(|writer| {
        for run in runs {
            suite(writer, run)?;
        }
        Ok(())
    })?;
    let mut text = writer.into_inner();
    text.push(b'\n');
    Ok(text)
}

fn suite(writer: &mut Writer<Vec<u8>>, run: &Run) -> io::Result<()> {
    let passed = run.state == TestsState::Passed;
    // A run of which nobody knows the tests is one test.
    let of_run = run.failures.is_empty() && (!passed || run.passed.is_none());
    let counted = run.passed.unwrap_or(0) + run.failed.unwrap_or(0) + run.skipped.unwrap_or(0);
    let could_run = run.state != TestsState::Error;
    let failed = run.failed.unwrap_or(0).max(u32::from(!passed && could_run));
    let numbers = [
        ("tests", counted.max(u32::from(of_run))),
        ("failures", failed),
        ("errors", u32::from(!could_run)),
        ("skipped", run.skipped.unwrap_or(0)),
    ];
    let mut element = writer.create_element("testsuite").with_attribute(("name", run.service.as_str()));
    for (name, number) in numbers {
        element = element.with_attribute((name, number.to_string().as_str()));
    }
    let element = element
        .with_attribute(("time", seconds(run).as_str()))
        .with_attribute(("timestamp", run.started_at.as_str()));
    if run.failures.is_empty() && !of_run {
        return element.write_empty().map(drop);
    }
    element.write_inner_content(|writer| {
        for failure in &run.failures {
            let mut case = writer
                .create_element("testcase")
                .with_attribute(("classname", run.service.as_str()))
                .with_attribute(("name", failure.name.as_str()));
            if let Some(file) = &failure.file {
                case = case.with_attribute(("file", file.as_str()));
            }
            if let Some(line) = failure.line {
                case = case.with_attribute(("line", line.to_string().as_str()));
            }
            case.write_inner_content(|writer| problem(writer, "failure", &failure.message))?;
        }
        if of_run {
            let case = writer
                .create_element("testcase")
                .with_attribute(("classname", run.service.as_str()))
                .with_attribute(("name", "tests"))
                .with_attribute(("time", seconds(run).as_str()));
            if passed {
                case.write_empty()?;
            } else {
                let code = || run.exit_code.map(|code| format!("exit code {code}"));
                let why = run.reason.clone().or_else(code).unwrap_or_default();
                let kind = if could_run { "failure" } else { "error" };
                case.write_inner_content(|writer| problem(writer, kind, &why))?;
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn problem(writer: &mut Writer<Vec<u8>>, kind: &str, message: &str) -> io::Result<()> {
    // XML has no way to say other control characters.
    let text: String =
        message.trim().chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    writer
        .create_element(kind)
        .with_attribute(("message", first))
        .write_text_content(BytesText::new(&text))
        .map(drop)
}

fn seconds(run: &Run) -> String {
    let milliseconds = run.duration_ms.unwrap_or_default();
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{failed, run};
    use super::*;
    use expect_test::expect;

    fn text(runs: &[Run]) -> String {
        String::from_utf8(report(runs).unwrap()).unwrap()
    }

    #[test]
    fn tests_that_failed_are_named_and_the_others_counted() {
        let mut passed = run("db", TestsState::Passed);
        (passed.passed, passed.failed, passed.skipped) = (Some(5), Some(0), Some(1));
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite name="api" tests="3" failures="1" errors="0" skipped="0" time="1.002" timestamp="2026-01-02T03:04:05.678Z">
                <testcase classname="api" name="test_a, b" file="/src/shop/api/test_a.py" line="7">
                  <failure message="1 != 2">1 != 2
            really</failure>
                </testcase>
              </testsuite>
              <testsuite name="db" tests="6" failures="0" errors="0" skipped="1" time="1.002" timestamp="2026-01-02T03:04:05.678Z"/>
            </testsuites>
        "#]]
        .assert_eq(&text(&[failed("api"), passed]));
    }

    #[test]
    fn a_run_whose_tests_are_unknown_is_one_test() {
        let mut broken = run("api", TestsState::Error);
        broken.reason = Some("no <such> image\u{1b}[0m".to_owned());
        let mut ended = run("web", TestsState::Failed);
        ended.exit_code = Some(137);
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites>
              <testsuite name="api" tests="1" failures="0" errors="1" skipped="0" time="1.002" timestamp="2026-01-02T03:04:05.678Z">
                <testcase classname="api" name="tests" time="1.002">
                  <error message="no &lt;such&gt; image[0m">no &lt;such&gt; image[0m</error>
                </testcase>
              </testsuite>
              <testsuite name="web" tests="1" failures="1" errors="0" skipped="0" time="1.002" timestamp="2026-01-02T03:04:05.678Z">
                <testcase classname="web" name="tests" time="1.002">
                  <failure message="exit code 137">exit code 137</failure>
                </testcase>
              </testsuite>
            </testsuites>
        "#]]
        .assert_eq(&text(&[broken, ended]));
    }
}
