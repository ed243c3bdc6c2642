//! JUnit's XML, as pytest, Maven, Gradle, jest-junit, go-junit-report, PHPUnit and many others write it. There is no
//! standard of it; what is read here is what all of them have.

use super::found::{Failed, Found, cut, keep};
use super::text::{js_frame, path_line, python_frame};
use super::{PathMap, Summary};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Reads the documents of one run. None when one of them is no complete report: what is missing may be the failures.
pub fn junit(documents: &[Vec<u8>], paths: &PathMap) -> Option<Summary> {
    let mut all = Found { passed: Some(0), failed: Some(0), skipped: Some(0), failures: Vec::new() };
    for document in documents {
        let found = read(document)?;
        let add = |sum: &mut Option<u32>, more: u32| *sum = sum.map(|sum| sum.saturating_add(more));
        add(&mut all.passed, found.passed);
        add(&mut all.failed, found.failed);
        add(&mut all.skipped, found.skipped);
        found.failures.into_iter().for_each(|failure| keep(&mut all.failures, failure));
    }
    (!documents.is_empty()).then(|| all.resolve(paths))
}

/// What one document holds so far.
#[derive(Debug, Default)]
struct Document {
    passed: u32,
    failed: u32,
    skipped: u32,
    failures: Vec<Failed>,
    case: Option<Case>,
}

/// A test that is being read.
#[derive(Debug)]
struct Case {
    failure: Failed,
    failed: bool,
    skipped: bool,
    /// What is read now says why it failed.
    reason: bool,
    /// That, as far as it was read: it comes in pieces.
    text: String,
}

/// Bytes of a reason that are looked at.
const MAX_TEXT: usize = 64 << 10;

fn read(document: &[u8]) -> Option<Document> {
    let text = String::from_utf8_lossy(document);
    let mut reader = Reader::from_str(&text);
    // Names and attributes matter here, and not how well the rest is formed.
    reader.config_mut().check_end_names = false;
    let (mut found, mut depth, mut is_report) = (Document::default(), 0_u32, false);
    loop {
        match reader.read_event().ok()? {
            Event::Start(element) => {
                is_report |= is_suite(&element);
                depth += 1;
                found.begin(&element);
            }
            Event::Empty(element) => {
                is_report |= is_suite(&element);
                found.begin(&element);
                found.end(element.local_name().as_ref());
            }
            Event::End(element) => {
                depth = depth.checked_sub(1)?;
                found.end(element.local_name().as_ref());
            }
            Event::Text(text) => found.text(&text),
            Event::CData(text) => found.text(&text),
            Event::GeneralRef(name) => found.text(&entity(&name)),
            Event::Eof => return (is_report && depth == 0).then_some(found),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn is_suite(element: &BytesStart<'_>) -> bool {
    matches!(element.local_name().as_ref(), "testsuites" | "testsuite")
}

/// `lt`, `#10`, `#x1b`: what stands between `&` and `;`.
fn entity(name: &str) -> String {
    let number = |digits: &str, base| u32::from_str_radix(digits, base).ok().and_then(char::from_u32);
    let found = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        other => match other.strip_prefix("#x").or(other.strip_prefix("#X")) {
            Some(digits) => number(digits, 16),
            None => other.strip_prefix('#').and_then(|digits| number(digits, 10)),
        },
    };
    found.map(String::from).unwrap_or_default()
}

/// An attribute, with its entities replaced; empty when there is none.
fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let found = element.attributes().with_checks(false).flatten().find(|it| it.key.as_ref() == name);
    let Some(found) = found else { return String::new() };
    let mut out = String::new();
    let mut rest: &str = &found.value;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, after)) = after.split_once(';') else { break };
        out.push_str(&entity(name));
        rest = after;
    }
    out.push_str(rest);
    out
}

impl Document {
    fn begin(&mut self, element: &BytesStart<'_>) {
        match element.local_name().as_ref() {
            "testcase" => {
                let (class, name) = (attribute(element, "classname"), attribute(element, "name"));
                let full = if class.is_empty() || name.starts_with(&class) {
                    name
                } else {
                    format!("{class}.{name}")
                };
                let mut failure = Failed::new(&full);
                let file = attribute(element, "file");
                if !file.is_empty() {
                    failure.place(&file, attribute(element, "line").parse().ok());
                }
                self.case =
                    Some(Case { failure, failed: false, skipped: false, reason: false, text: String::new() });
            }
            "failure" | "error" => {
                if let Some(case) = &mut self.case {
                    (case.failed, case.reason) = (true, true);
                    attribute(element, "message").lines().for_each(|line| case.failure.say(line));
                }
            }
            "skipped" => {
                if let Some(case) = &mut self.case {
                    case.skipped = true;
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        let Some(case) = self.case.as_mut().filter(|case| case.reason) else { return };
        case.text.push_str(cut(text, MAX_TEXT.saturating_sub(case.text.len())));
    }

    fn end(&mut self, name: &str) {
        match name {
            "failure" | "error" => {
                if let Some(case) = &mut self.case {
                    case.reason = false;
                    case.understand();
                }
            }
            "testcase" => {
                let Some(case) = self.case.take() else { return };
                if case.failed {
                    self.failed += 1;
                    keep(&mut self.failures, case.failure);
                } else if case.skipped {
                    self.skipped += 1;
                } else {
                    self.passed += 1;
                }
            }
            _ => {}
        }
    }
}

impl Case {
    /// The reason has been read to its end.
    fn understand(&mut self) {
        for line in std::mem::take(&mut self.text).lines() {
            let place = python_frame(line).or_else(|| js_frame(line)).or_else(|| leading_place(line));
            if let Some((path, line)) = place {
                self.failure.place(path, Some(line));
            }
            self.failure.say(line);
        }
    }
}

/// `test_api.py:5: AssertionError`, as pytest and others end a traceback.
fn leading_place(line: &str) -> Option<(&str, u32)> {
    let word = line.split_whitespace().next()?.trim_end_matches(':');
    path_line(word).filter(|(path, _)| path.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> (tempfile::TempDir, PathMap) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test_a.py"), "").unwrap();
        let map = PathMap::new(vec![("/app".to_owned(), folder.path().to_owned())], Some("/app".to_owned()));
        (folder, map)
    }

    fn summary(documents: &[&str]) -> Option<Summary> {
        let documents: Vec<Vec<u8>> = documents.iter().map(|text| text.as_bytes().to_vec()).collect();
        junit(&documents, &map().1)
    }

    #[test]
    fn every_test_is_counted_once_and_failures_say_where() {
        let (folder, map) = map();
        let text = r#"<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="5">
<testcase classname="test_a" name="test_one" time="0.1" />
<testcase classname="test_a" name="test_two[a&lt;b]"><failure message="assert 1 == 2&#10; +  where 1 = f()">def test_two():
&gt;       assert f() == 2

test_a.py:7: AssertionError</failure><error message="and then"/></testcase>
<testcase classname="test_a" name="test_three"><skipped message="not today"/></testcase>
<testcase classname="test_a" name="test_four"><system-out><![CDATA[<failure>no</failure>]]></system-out><flakyFailure message="once"/></testcase>
<testcase name="a.b.test_five" file="/app/test_a.py" line="12"><error><![CDATA[boom]]></error></testcase>
</testsuite></testsuites>"#;
        let summary = junit(&[text.as_bytes().to_vec()], &map).unwrap();
        assert_eq!((summary.passed, summary.failed, summary.skipped), (Some(2), Some(2), Some(1)));
        let file = folder.path().join("test_a.py").display().to_string();
        let [two, five] = &summary.failures[..] else { panic!("{summary:?}") };
        assert_eq!(two.name, "test_a.test_two[a<b]");
        assert_eq!((two.file.as_ref(), two.line), (Some(&file), Some(7)));
        assert!(
            two.message.starts_with("assert 1 == 2\n +  where 1 = f()\ndef test_two():\n>       assert"),
            "{}",
            two.message
        );
        assert!(two.message.ends_with("and then"), "{}", two.message);
        assert_eq!((five.name.as_str(), five.message.as_str()), ("a.b.test_five", "boom"));
        assert_eq!((five.file.as_ref(), five.line), (Some(&file), Some(12)));
    }

    #[test]
    fn several_documents_are_one_result() {
        let one = r#"<testsuite><testcase name="a"/></testsuite>"#;
        let two = r#"<testsuite><testcase name="b"><failure/></testcase></testsuite>"#;
        let summary = summary(&[one, two]).unwrap();
        assert_eq!((summary.passed, summary.failed, summary.skipped), (Some(1), Some(1), Some(0)));
    }

    #[test]
    fn what_is_not_complete_is_no_result() {
        for text in [
            "",
            "no xml",
            "<html><body/></html>",
            r#"<testsuite><testcase name="a"/>"#,
            r#"<testsuite><testcase name="a"><failure"#,
            "</testsuite>",
        ] {
            assert_eq!(summary(&[text]), None, "{text}");
        }
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&["<testsuite/>", "<testsuite>"]), None);
    }

    proptest::proptest! {
        #[test]
        fn no_document_is_too_odd(text in "(<(testsuite|testcase|failure)( name=\"[a&;#x1]{0,5}\")?/?>|</(testsuite|testcase|failure)>|[a-z&;\n]{0,5}|<!\\[CDATA\\[|\\]\\]>){0,30}") {
            let _ = summary(&[&text]);
        }
    }
}
