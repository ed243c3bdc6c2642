//! `devd build`

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project;
use crate::render::style::{self, GOOD, paint};
use clap::Args;
use devd_proto::{BuildLine, BuildRequest};

/// Build images to ship: as `build:` says, with no mounts and no `ENV=dev`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  devd build                                every service with a `build`
  devd build web --tag registry/web:1.2 --push
  devd build --platform linux/arm64")]
pub(crate) struct Build {
    /// Only these [default: all with a `build`]
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// A tag instead of the service's image name; only with one service
    #[arg(short, long, value_name = "NAME")]
    tag: Option<String>,
    /// Push each image after its build
    #[arg(long)]
    push: bool,
    /// The target platform, for example linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

pub(crate) async fn run(context: &Context, build: Build) -> Result<Exit, Error> {
    if build.tag.is_some() && build.services.len() != 1 {
        return Err(Error::usage("--tag names one image, so it needs exactly one service")
            .help("devd build SERVICE --tag NAME"));
    }
    let request = BuildRequest {
        source: project::source(&context.globals)?,
        services: build.services.into_iter().map(Into::into).collect(),
        tag: build.tag,
        push: build.push,
        platform: build.platform,
    };
    let ui = &context.ui;
    let client = context.started().await?;
    let mut lines = client.post_lines("/v1/build", &request).await?;
    let mut finished = false;
    while let Some(line) = lines.json::<BuildLine>().await? {
        if ui.json {
            ui.value(&line)?;
        }
        match line {
            BuildLine::Output { service, text } if !ui.json => ui.line(&format!("{service} | {text}"))?,
            BuildLine::Built { service, image, id } => {
                finished = true;
                if !ui.json {
                    let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
                    ui.line(&format!("{service}: {} {image} ({short})", paint(GOOD, "built")))?;
                }
            }
            // The stream of objects has said it.
            BuildLine::Failed { .. } if ui.json => return Ok(Exit::BAD),
            BuildLine::Failed { service, mut problem } => {
                problem.title = format!("{service}: {}", problem.title);
                ui.draw(&style::error(&problem.into()));
                return Ok(Exit::BAD);
            }
            BuildLine::Output { .. } => {}
        }
    }
    if finished { Ok(Exit::OK) } else { Err(Error::lost()) }
}
