//! Runs for the tests of reports.

use devd_proto::{Run, TestFailure, TestsState};

pub(super) fn run(service: &str, state: TestsState) -> Run {
    Run {
        id: "01J".into(),
        project: "shop-ci-1".into(),
        service: service.into(),
        state,
        cause: "request".to_owned(),
        paths: Vec::new(),
        content: String::new(),
        command: Vec::new(),
        partial: false,
        exit_code: None,
        reason: None,
        started_at: "2026-01-02T03:04:05.678Z".to_owned(),
        finished_at: None,
        duration_ms: Some(1002),
        passed: None,
        failed: None,
        skipped: None,
        failures: Vec::new(),
        stages: Vec::new(),
    }
}

/// One of three tests failed.
pub(super) fn failed(service: &str) -> Run {
    let failure = TestFailure {
        name: "test_a, b".to_owned(),
        file: Some("/src/shop/api/test_a.py".to_owned()),
        line: Some(7),
        message: "1 != 2\nreally\n".to_owned(),
    };
    Run {
        passed: Some(2),
        failed: Some(1),
        failures: vec![failure],
        exit_code: Some(1),
        ..run(service, TestsState::Failed)
    }
}
