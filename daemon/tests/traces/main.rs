//! Traces of saves, as a collector gets them: the daemon itself, told by its environment where to send them, on the
//! engine in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod collector;
mod daemon;

use collector::{Collector, Span};
use daemon::Daemon;

/// The trace of the save of that file, and its root.
fn trace<'a>(spans: &'a [Span], path: &str) -> (&'a Span, Vec<&'a Span>) {
    let is_it = |span: &&Span| span.name == "save" && span.attribute("devd.path") == Some(path);
    let root = spans.iter().find(is_it).unwrap_or_else(|| panic!("{path} has no trace: {spans:#?}"));
    let mut children: Vec<&Span> = spans.iter().filter(|span| span.parent == root.id).collect();
    children.sort_by_key(|span| span.begins);
    for child in &children {
        assert_eq!(child.trace, root.trace, "{child:#?}");
        assert!(
            root.begins <= child.begins && child.begins <= child.ends && child.ends <= root.ends,
            "{spans:#?}"
        );
    }
    assert!(
        spans.iter().all(|span| span.trace != root.trace || span.parent == root.id || span.id == root.id)
    );
    (root, children)
}

fn named<'a>(children: &[&'a Span], name: &str) -> &'a Span {
    children.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {children:#?}"))
}

#[test]
fn a_save_is_one_trace_with_all_that_came_of_it() {
    let collector = Collector::begin();
    let daemon = Daemon::start(&collector.endpoint());
    daemon.up();
    daemon.write("api/main.py", "print(2)\n");
    daemon.until_tested("shop-2");
    daemon.write("api/Dockerfile", "FROM scratch\nENV A=1\n");
    daemon.until_tested("shop-3");
    // They would wait for an hour: the end of the daemon sends them.
    daemon.stop();
    let requests = collector.requests();
    let spans: Vec<Span> = requests.iter().flat_map(|request| request.spans()).collect();
    assert_eq!(spans.iter().filter(|span| span.parent.is_empty()).count(), 2, "{spans:#?}");

    let (root, children) = trace(&spans, "api/main.py");
    assert_eq!(root.attribute("devd.project"), Some("shop"));
    assert_eq!(root.attribute("devd.service"), Some("api"));
    assert_eq!(root.attribute("devd.files"), Some("1"));
    assert_eq!(children.len(), 3, "{children:#?}");
    assert_eq!(named(&children, "decide").begins, root.begins);
    assert!(named(&children, "decide").ends <= named(&children, "restart").begins);
    let tests = named(&children, "tests");
    assert_eq!(tests.attribute("devd.run"), Some("shop-2"));
    assert_eq!(tests.attribute("devd.verdict"), Some("passed"));
    for stage in ["released", "first_output"] {
        assert!(tests.events.iter().any(|event| event == stage), "{tests:#?}");
    }

    let (_, children) = trace(&spans, "api/Dockerfile");
    let names: Vec<&str> =
        children.iter().map(|span| span.name.as_str()).filter(|name| *name != "tests").collect();
    assert_eq!(names, ["decide", "build", "remove", "create", "start"]);
    assert_eq!(named(&children, "tests").attribute("devd.run"), Some("shop-3"));

    for request in &requests {
        assert_eq!(request.path, "/v1/traces");
        assert_eq!(request.service(), "devd");
        let text = String::from_utf8_lossy(&request.body);
        for secret in ["hunter2", "unittest", "print"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
