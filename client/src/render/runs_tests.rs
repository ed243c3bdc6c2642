use super::*;
use expect_test::expect;

fn run(state: TestsState) -> Run {
    Run {
        id: "01J".into(),
        project: "shop".into(),
        service: "service1".into(),
        state,
        cause: "save".to_owned(),
        paths: vec!["service1/main.py".to_owned(), "service1/b.py".to_owned()],
        content: String::new(),
        command: vec!["pytest".to_owned(), "-q".to_owned()],
        partial: false,
        exit_code: Some(1),
        reason: None,
        started_at: "2026-05-01T11:59:57.000Z".to_owned(),
        finished_at: None,
        duration_ms: Some(412),
        passed: None,
        failed: None,
        skipped: None,
        failures: Vec::new(),
        stages: Vec::new(),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn verdicts_count_what_is_known() {
    let said = |state, passed, failed, skipped| verdict(state, Counts { passed, failed, skipped }).0;
    assert_eq!(said(TestsState::Passed, Some(5), Some(0), Some(0)), "passed 5");
    assert_eq!(said(TestsState::Passed, Some(5), None, Some(2)), "passed 5, skipped 2");
    assert_eq!(said(TestsState::Passed, None, None, None), "passed");
    assert_eq!(said(TestsState::Failed, Some(5), Some(2), None), "failed 2 of 7");
    assert_eq!(said(TestsState::Failed, None, None, None), "failed");
}

#[test]
fn a_result_names_the_tests_that_failed() {
    let mut failed = run(TestsState::Failed);
    failed.passed = Some(4);
    failed.failed = Some(1);
    failed.failures = vec![TestFailure {
        name: "test_main.py::test_get".to_owned(),
        file: Some("/home/ann/shop/service1/test_main.py".to_owned()),
        line: Some(12),
        message: "assert 1 == 2\n  more".to_owned(),
    }];
    expect![[r"
        service1: failed 1 of 5 (0.4s)
          ✗ test_main.py::test_get  /home/ann/shop/service1/test_main.py:12
            assert 1 == 2
    "]]
    .assert_eq(&plain(&result(&failed)));

    let mut error = run(TestsState::Error);
    error.reason = Some("no such image: nope".to_owned());
    error.duration_ms = None;
    assert_eq!(plain(&result(&error)), "service1: error: no such image: nope\n");
    assert_eq!(plain(&result(&run(TestsState::Failed))), "service1: failed (0.4s): exit code 1\n");
}

#[test]
fn the_history_is_a_table() {
    let now = "2026-05-01T12:00:00Z".parse().unwrap();
    expect![[r#"
        RUN   SERVICE    VERDICT   TIME   STARTED   CAUSE
        01J   service1   passed    0.4s   3s ago    save: service1/main.py and 1 more
        01J   service1   failed    0.4s   3s ago    save: service1/main.py and 1 more
    "#]]
    .assert_eq(&plain(&table(&[run(TestsState::Passed), run(TestsState::Failed)], now)));
    expect![[r#"
        service1: failed (0.4s): exit code 1
          run         01J
          project     shop
          command     pytest -q
          cause       save
          changed     service1/main.py, service1/b.py
          started     2026-05-01T11:59:57.000Z (3s ago)
          exit code   1
    "#]]
    .assert_eq(&plain(&details(&run(TestsState::Failed), now)));
}
