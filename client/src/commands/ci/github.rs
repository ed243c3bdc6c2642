//! What failed, as GitHub Actions shows it beside the code: workflow commands, one a line.
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use devd_proto::{Run, TestsState};
use std::path::{Path, PathBuf};

/// The folder that paths are relative to: the checkout.
pub(super) fn workspace() -> PathBuf {
    let said = std::env::var_os("GITHUB_WORKSPACE").filter(|path| !path.is_empty()).map(PathBuf::from);
    said.or_else(|| std::env::current_dir().ok()).unwrap_or_default()
}

pub(super) fn annotations(runs: &[Run], workspace: &Path) -> String {
    let mut out = String::new();
    for run in runs.iter().filter(|run| run.state != TestsState::Passed) {
        for failure in &run.failures {
            let file = failure.file.as_deref().map(|file| {
                let relative = Path::new(file).strip_prefix(workspace).unwrap_or(Path::new(file));
                format!("file={},", property(&relative.display().to_string()))
            });
            let line = failure.line.map(|line| format!("line={line},")).unwrap_or_default();
            let title = property(&format!("{}: {}", run.service, failure.name));
            let file = file.unwrap_or_default();
            out.push_str(&format!("::error {file}{line}title={title}::{}\n", data(&failure.message)));
        }
        if run.failures.is_empty() {
            let code = || run.exit_code.map(|code| format!("exit code {code}"));
            let why = run.reason.clone().or_else(code).unwrap_or_default();
            let could_run = run.state != TestsState::Error;
            let what = if could_run { "the tests failed" } else { "the tests could not be run" };
            let title = property(run.service.as_str());
            out.push_str(&format!("::error title={title}::{}\n", data(&format!("{what}: {why}"))));
        }
    }
    out
}

fn data(text: &str) -> String {
    text.trim().replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{failed, run};
    use super::*;
    use expect_test::expect;

    #[test]
    fn what_failed_stands_at_its_line_and_the_rest_at_its_service() {
        let mut lost = run("web", TestsState::Error);
        lost.reason = Some("no such image: 100% gone".to_owned());
        let runs = [failed("api"), lost, run("db", TestsState::Passed)];
        expect![[r#"
            ::error file=api/test_a.py,line=7,title=api%3A test_a%2C b::1 != 2%0Areally
            ::error title=web::the tests could not be run: no such image: 100%25 gone
        "#]]
        .assert_eq(&annotations(&runs, Path::new("/src/shop")));
    }

    #[test]
    fn a_file_outside_of_the_checkout_keeps_its_whole_path() {
        let text = annotations(&[failed("api")], Path::new("/elsewhere"));
        assert!(text.starts_with("::error file=/src/shop/api/test_a.py,"), "{text}");
    }
}
