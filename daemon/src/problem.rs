//! Errors of the inside in the words of the outside.

use crate::engine::EngineError;
use devd_compose::{LoadError, Severity};
use devd_proto::{Code, Diagnostic, Problem, ProjectName, ServiceName};

/// A finding of the loader.
pub fn diagnostic(found: &devd_compose::Diagnostic) -> Diagnostic {
    Diagnostic {
        severity: match found.severity {
            Severity::Error => devd_proto::Severity::Error,
            Severity::Warning => devd_proto::Severity::Warning,
        },
        // The words on the socket are in snake case.
        code: found.code.replace('-', "_"),
        message: found.message.clone(),
        file: found.file.as_ref().map(|file| file.display().to_string()),
        line: found.line,
        column: found.column,
        help: found.help.clone(),
        rendered: found.render(),
    }
}

/// A service that the project does not have.
pub fn unknown_service<'a>(
    project: &ProjectName,
    service: &ServiceName,
    known: impl Iterator<Item = &'a str>,
) -> Problem {
    let problem = Problem::new(Code::UnknownService, format!("{project} has no service `{service}`"));
    let known: Vec<&str> = known.collect();
    match nearest(service.as_str(), &known) {
        Some(nearest) => problem.help(format!("did you mean `{nearest}`?")),
        None if known.is_empty() => problem,
        None => problem.help(format!("its services are {}", known.join(", "))),
    }
}

/// Nobody mistypes a longer one, and comparing takes as long as both are.
const LONGEST_NAME: usize = 200;

/// The one with the fewest typing errors, as long as they are few: as the client, which checks some names itself.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let tolerated = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(errors, _)| *errors <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Files that do not load.
pub fn load_error(error: &LoadError) -> Problem {
    let first = error.diagnostics.first();
    let none = first.is_some_and(|first| first.code == "no-compose-file");
    let code = if none { Code::NoComposeFile } else { Code::InvalidProject };
    let title =
        first.map_or_else(|| "the compose files do not load".to_owned(), |first| first.message.clone());
    let mut problem = Problem::new(code, title);
    problem.help = first.and_then(|first| first.help.clone());
    problem.diagnostics = error.diagnostics.iter().map(diagnostic).collect();
    problem
}

/// An engine that does not do what it is asked.
pub fn engine_error(error: &EngineError) -> Problem {
    let code = match error {
        EngineError::Unreachable(_) => Code::EngineUnreachable,
        EngineError::NotFound(_) => Code::NotRunning,
        EngineError::Refused(_) => Code::EngineRefused,
        EngineError::BuildFailed { .. } => Code::BuildFailed,
    };
    let mut problem = Problem::new(code, error.to_string());
    if let EngineError::BuildFailed { output, .. } = error {
        problem.help = (!output.is_empty()).then(|| output.join("\n"));
    }
    if code == Code::EngineUnreachable {
        problem.help = Some("`devd doctor` says what was tried".to_owned());
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_service_names_the_nearest_or_all() {
        let told = |name: &str| {
            let problem = unknown_service(&"shop".into(), &name.into(), ["db", "web"].into_iter());
            format!("{}; {}", problem.title, problem.help.unwrap_or_default())
        };
        assert_eq!(told("wbe"), "shop has no service `wbe`; did you mean `web`?");
        assert_eq!(told("cache"), "shop has no service `cache`; its services are db, web");
    }
}
