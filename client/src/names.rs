//! Services by name, and the nearest one when there is none of that name.

use crate::error::Error;
use devd_proto::{Code, Problem, ProjectName, ServiceName};

/// Fails on the first name that is not among the known ones, of this project or of any.
pub(crate) fn check<'a>(
    asked: &[String],
    known: impl Iterator<Item = &'a ServiceName> + Clone,
    whose: Option<&ProjectName>,
) -> Result<(), Error> {
    for name in asked {
        if !known.clone().any(|service| service.as_str() == name) {
            return Err(unknown(name, known.clone().map(ServiceName::as_str), whose));
        }
    }
    Ok(())
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>, whose: Option<&ProjectName>) -> Error {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let title = match whose {
        Some(project) => format!("{project} has no service `{name}`"),
        None => format!("no project has a service `{name}`"),
    };
    let problem = Problem::new(Code::UnknownService, title);
    match nearest(name, &known) {
        Some(nearest) => problem.help(format!("did you mean `{nearest}`?")),
        None if known.is_empty() => problem,
        None => problem.help(format!("its services are {}", known.join(", "))),
    }
    .into()
}

/// The one with the fewest typing errors, as long as they are few.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let tolerated = (name.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(errors, _)| *errors <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(name: &str) -> String {
        let known = [ServiceName::from("service1"), ServiceName::from("db")];
        let error = check(&[name.to_owned()], known.iter(), Some(&"shop".into())).unwrap_err();
        format!("{error}; {}", error.help_text().unwrap_or_default())
    }

    #[test]
    fn an_unknown_service_names_the_nearest_or_all() {
        assert_eq!(refusal("servcie1"), "shop has no service `servcie1`; did you mean `service1`?");
        assert_eq!(refusal("cache"), "shop has no service `cache`; its services are db, service1");
    }
}
