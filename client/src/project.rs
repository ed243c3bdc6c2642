//! Which project is meant.

use crate::cli::Globals;
use crate::context::Context;
use crate::error::Error;
use crate::http::{Client, encode};
use crate::paths;
use devd_proto::{ProjectName, ProjectSource, ProjectStatus, RegisterRequest, Resolved};
use std::collections::BTreeMap;
use std::path::Path;

/// What `-C`, `-f` and the rest say, and the environment for interpolation.
pub(crate) fn source(globals: &Globals) -> Result<ProjectSource, Error> {
    let dir = paths::absolute(globals.dir.as_deref().unwrap_or(Path::new(".")))?;
    if !dir.is_dir() {
        return Err(Error::usage(format!("there is no folder {}", dir.display()))
            .help("-C takes the folder of the project, or one inside it"));
    }
    Ok(ProjectSource {
        dir: paths::text(&dir)?,
        files: globals.file.iter().map(|file| paths::text(file)).collect::<Result<_, _>>()?,
        profiles: globals.profile.clone(),
        project_name: globals.project_name.clone(),
        env_files: globals.env_file.iter().map(|file| paths::text(file)).collect::<Result<_, _>>()?,
        env: environment(),
    })
}

/// Every variable that can be sent; the daemon keeps those that the files ask for.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

pub(crate) fn register(globals: &Globals) -> Result<RegisterRequest, Error> {
    let ProjectSource { dir, files, profiles, project_name, env_files, env } = source(globals)?;
    Ok(RegisterRequest {
        dir,
        files,
        profiles,
        project_name,
        env_files,
        env,
        services: Vec::new(),
        build: false,
        start: true,
    })
}

/// Asks the daemon which project that is; it need not be registered.
pub(crate) async fn resolve(context: &Context, client: &Client) -> Result<Resolved, Error> {
    client.post("/v1/resolve", &source(&context.globals)?).await
}

/// The project's name; with `--project-name` alone it is that, wherever one stands.
pub(crate) async fn name(context: &Context, client: &Client) -> Result<ProjectName, Error> {
    let Globals { dir, file, project_name, .. } = &context.globals;
    match project_name {
        Some(name) if dir.is_none() && file.is_empty() => Ok(ProjectName::new(name)),
        _ => Ok(resolve(context, client).await?.project),
    }
}

pub(crate) fn path(project: &ProjectName) -> String {
    format!("/v1/projects/{}", encode(project.as_str()))
}

pub(crate) async fn status(client: &Client, project: &ProjectName) -> Result<ProjectStatus, Error> {
    client.get(&path(project)).await
}
