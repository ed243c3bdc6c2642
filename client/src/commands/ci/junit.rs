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
    element
        .with_attribute(("time", seconds(run).as_str()))
        .with_attribute(("timestamp", run.started_at.as_str()))
        .write_inner_content(|writer| {
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
    let text: String = message.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
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
