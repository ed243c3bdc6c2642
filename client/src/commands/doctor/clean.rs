//! `devd doctor --clean`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::style::{BAD, DIM, GOOD, paint};
use crate::render::table::{Table, cell};
use anstyle::Style;
use devd_proto::{CleanRequest, Leftover, Leftovers};
use std::io::{self, IsTerminal as _};

/// Shows what is left over on the engine and why, and removes it when that is wanted. Bad is what is there afterwards.
pub(super) async fn run(context: &Context, volumes: bool, yes: bool) -> Result<Exit, Error> {
    let (client, ui) = (context.started().await?, &context.ui);
    let mut found: Leftovers = client.get(&format!("/v1/leftovers?volumes={volumes}")).await?;
    if let Some(project) = &context.globals.project_name {
        for list in [&mut found.leftovers, &mut found.kept] {
            list.retain(|leftover| leftover.project.as_str() == project);
        }
    }
    if found.leftovers.is_empty() {
        if ui.json {
            ui.value(&found)?;
        } else {
            ui.line(&format!("nothing is left over{}", kept(&found.kept)))?;
        }
        return Ok(Exit::OK);
    }
    if !ui.json {
        ui.print(&shown(&found.leftovers))?;
    }
    let agreed = yes || (asks(context) && agreed(context, found.leftovers.len())?);
    if !agreed {
        if ui.json {
            ui.value(&found)?;
        } else {
            ui.line(&format!("nothing was removed{}; `--yes` removes what is listed", kept(&found.kept)))?;
        }
        return Ok(Exit::BAD);
    }
    let ids = found.leftovers.into_iter().map(|leftover| leftover.id).collect();
    let removed: Leftovers = client.post("/v1/leftovers", &CleanRequest { ids, volumes }).await?;
    if ui.json {
        ui.value(&removed)?;
    } else {
        ui.print(&became(&removed))?;
    }
    Ok(Exit::good(removed.leftovers.iter().all(|leftover| leftover.removed)))
}

fn asks(context: &Context) -> bool {
    context.ui.is_live_on_stderr() && io::stdin().is_terminal()
}

fn agreed(context: &Context, count: usize) -> Result<bool, Error> {
    let these = if count == 1 { "it".to_owned() } else { format!("these {count}") };
    context.ui.draw(&format!("remove {these}? [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Error::local(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn kept(kept: &[Leftover]) -> String {
    match kept {
        [] => String::new(),
        [_] => "; 1 other thing of devd stays (--json says why)".to_owned(),
        _ => format!("; {} other things of devd stay (--json says why)", kept.len()),
    }
}

fn shown(leftovers: &[Leftover]) -> String {
    let mut table = Table::default();
    for leftover in leftovers {
        table.row([
            cell(Style::new(), &leftover.kind),
            cell(Style::new(), &leftover.name),
            cell(DIM, &leftover.reason),
        ]);
    }
    table.render(0)
}

fn became(removed: &Leftovers) -> String {
    let mut out = String::new();
    for Leftover { kind, name, error, .. } in &removed.leftovers {
        out += &match error {
            None => format!("{} removed {kind} {name}\n", paint(GOOD, "✓")),
            Some(error) => format!("{} {kind} {name}: {error}\n", paint(BAD, "✗")),
        };
    }
    for Leftover { kind, name, reason, .. } in &removed.kept {
        out += &format!("- {kind} {name} stays: {reason}\n");
    }
    out
}
