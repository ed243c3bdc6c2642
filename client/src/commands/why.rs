//! `devd why`

use super::saved::in_dir;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::http::encode;
use crate::paths;
use crate::render::style::{DIM, GOOD, HEADER, PLAIN, paint};
use clap::Args;
use devd_proto::{Decision, Why as Answer};
use std::path::PathBuf;

/// Say what a change of a path triggers, and which rule decided
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd why web/main.py
  devd why web/__pycache__/main.pyc

The path need not exist.")]
pub(crate) struct Why {
    /// A file or a folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

pub(crate) async fn run(context: &Context, why: Why) -> Result<Exit, Error> {
    let path = paths::text(&paths::absolute(&in_dir(context, &why.path))?)?;
    let client = context.started().await?;
    let answer: Answer = client.get(&format!("/v1/why?path={}", encode(&path))).await?;
    if context.ui.json {
        context.ui.value(&answer)?;
    } else {
        context.ui.print(&text(&answer))?;
    }
    Ok(Exit::OK)
}

fn text(why: &Answer) -> String {
    let mut out = format!("{}\n", why.path);
    for decision in &why.decisions {
        out.push_str(&line(decision));
    }
    if why.decisions.is_empty() {
        let reason = why.reason.as_deref().unwrap_or("no registered project watches it");
        out.push_str(&format!("  nothing: {reason}\n"));
    }
    out
}

fn line(decision: &Decision) -> String {
    let whose = match &decision.service {
        Some(service) => format!("{}/{service}", decision.project),
        None => decision.project.to_string(),
    };
    let does_something = decision.tests || !matches!(decision.action.as_str(), "none" | "ignored");
    let tests = if decision.tests { " and tests" } else { "" };
    let place = match (&decision.file, decision.line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    };
    format!(
        "  {}: {}\n    {}{}\n",
        paint(HEADER, &whose),
        paint(if does_something { GOOD } else { PLAIN }, &format!("{}{tests}", decision.action)),
        decision.rule,
        paint(DIM, &place)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(why: &Answer) -> String {
        anstream::adapter::strip_str(&text(why)).to_string()
    }

    #[test]
    fn the_rule_stands_under_what_it_decided() {
        let mut why = Answer { path: "/p/web/main.py".to_owned(), ..Answer::default() };
        expect_test::expect![[r"
            /p/web/main.py
              nothing: no registered project watches it
        "]]
        .assert_eq(&plain(&why));
        why.decisions = vec![
            Decision {
                project: "shop".into(),
                service: Some("web".into()),
                action: "restart".to_owned(),
                tests: true,
                rule: "it is mounted into the container".to_owned(),
                file: Some("/p/compose.yaml".to_owned()),
                line: Some(7),
            },
            Decision {
                project: "shop".into(),
                service: Some("db".into()),
                action: "ignored".to_owned(),
                tests: false,
                rule: "`*.py` in .dockerignore".to_owned(),
                file: None,
                line: None,
            },
        ];
        expect_test::expect![[r"
            /p/web/main.py
              shop/web: restart and tests
                it is mounted into the container (/p/compose.yaml:7)
              shop/db: ignored
                `*.py` in .dockerignore
        "]]
        .assert_eq(&plain(&why));
    }
}
