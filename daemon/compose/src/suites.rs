//! The tests of a service: a service of another compose file, or of the project's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::diagnostic::{Diagnostic, LoadError};
use crate::discover;
use crate::load::load;
use crate::model::{Project, Service, Tests};
use crate::options::{Loaded, Options};
use crate::paths::{clean, nearest};

/// The service that runs the tests, unless `x-devd` names another.
const SERVICE: &str = "tests";
/// Looked for after the usual names: the old way of writing them.
const DOTTED_NAMES: [&str; 2] = ["docker.compose.yml", "docker.compose.yaml"];

/// What runs the tests of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// The project in which the tests are a service, with what they need. Its name is that of its folder.
    pub project: Project,
    /// The service that runs the tests.
    pub service: String,
    pub settings: Tests,
    pub warnings: Vec<Diagnostic>,
    /// Every file that was read, and every file whose appearance would change the result.
    pub inputs: BTreeSet<PathBuf>,
}

/// Where the tests of a service may be. `Ok(None)`: it has none.
///
/// They are the service `tests` of a compose file in the service's build context, unless `x-devd.tests` says
/// otherwise. `options` are those that `project` was loaded with.
pub fn find_suite(project: &Project, service: &str, options: &Options) -> Result<Option<Suite>, LoadError> {
    let owner = project.services.get(service).or_else(|| project.disabled_services.get(service));
    let Some(owner) = owner else { return Ok(None) };
    let Some(settings) = owner.x_devd.tests.clone() else { return Ok(None) };
    let folder = owner.build.as_ref().map(|build| build.context.clone());
    let named = settings.file.is_some() || settings.service.is_some();
    let mut context = Context::default();

    let files = match &settings.file {
        Some(file) => vec![clean(&folder.as_deref().unwrap_or(&project.dir).join(file))],
        None if is_own(project, &settings) => {
            let name = settings.service.as_deref().unwrap_or(SERVICE);
            let options = Options { files: project.files.clone(), ..options.clone() };
            return load_suite(&options, name, settings.clone()).map(Some);
        }
        None => match &folder {
            Some(folder) => beside(&mut context, project, folder),
            None => Vec::new(),
        },
    };
    let name = settings.service.as_deref().unwrap_or(SERVICE).to_owned();
    let Some(dir) = files.first().and_then(|file| file.parent()) else {
        return if named { Err(nowhere(context, project, owner, &name)) } else { Ok(None) };
    };
    // Files and names that were given were given for the project, not for this one.
    let mut env = options.env.clone();
    for name in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_ENV_FILES"] {
        env.remove(name);
    }
    let profiles = options.profiles.clone();
    let options = Options { dir: dir.to_owned(), files: files.clone(), profiles, env, ..Options::default() };
    let mut suite = match load_suite(&options, &name, settings) {
        Ok(suite) => suite,
        Err(error) if !named && is_other(&error) => return Ok(None),
        Err(mut error) => {
            error.inputs.extend(context.inputs);
            return Err(error);
        }
    };
    suite.inputs.extend(context.inputs);
    Ok(Some(suite))
}

/// The services of the project that are the tests of others, and so are not started with the rest.
pub fn suite_services(project: &Project) -> BTreeSet<String> {
    let all = project.services.values().chain(project.disabled_services.values());
    let settings = all.filter_map(|service| service.x_devd.tests.as_ref());
    settings
        .filter(|tests| tests.file.is_none() && is_own(project, tests))
        .filter_map(|tests| tests.service.clone())
        .collect()
}

/// Whether the settings name a service of the project itself.
fn is_own(project: &Project, settings: &Tests) -> bool {
    let known =
        |name: &String| project.services.contains_key(name) || project.disabled_services.contains_key(name);
    settings.service.as_ref().is_some_and(known)
}

/// The compose files in a service's folder, unless they are the project's own.
fn beside(context: &mut Context, project: &Project, folder: &Path) -> Vec<PathBuf> {
    let mut files = discover::in_folder(context, folder);
    if files.is_empty() {
        let dotted = DOTTED_NAMES.map(|name| folder.join(name));
        context.inputs.extend(dotted.iter().cloned());
        files.extend(dotted.into_iter().find(|path| path.is_file()));
    }
    if files.iter().any(|file| project.files.contains(file)) { Vec::new() } else { files }
}

/// Loads a suite's files; the profiles of its service count as active, as when compose is told to run it.
fn load_suite(options: &Options, name: &str, settings: Tests) -> Result<Suite, LoadError> {
    let mut loaded = load(options)?;
    let hidden = loaded.project.disabled_services.get(name).map(|service| service.profiles.clone());
    if let Some(profiles) = hidden {
        let mut active: Vec<String> = options.profiles.clone();
        active.extend(profiles);
        loaded = load(&Options { profiles: active, ..options.clone() })?;
    }
    let Loaded { project, warnings, inputs, .. } = loaded;
    if !project.services.contains_key(name) {
        return Err(no_service(&project, inputs, name));
    }
    Ok(Suite { project, service: name.to_owned(), settings, warnings, inputs })
}

const NO_SERVICE: &str = "no-suite-service";

/// A compose file that has no tests is not an error when nobody said that it has.
fn is_other(error: &LoadError) -> bool {
    error.diagnostics.iter().all(|wrong| wrong.code == NO_SERVICE)
}

fn no_service(project: &Project, inputs: BTreeSet<PathBuf>, name: &str) -> LoadError {
    let mut context = Context::default();
    let file = project.files.first().map(PathBuf::as_path);
    let wrong =
        context.file_error(NO_SERVICE, file, None, format!("there is no service `{name}` in this file"));
    wrong.path = "services".to_owned();
    if let Some(near) = nearest(name, project.services.keys().map(String::as_str)) {
        wrong.help(format!("did you mean `{near}`?"));
    }
    context.inputs = inputs;
    context.into_error()
}

fn nowhere(mut context: Context, project: &Project, owner: &Service, name: &str) -> LoadError {
    let (file, line) = (&owner.span.file, owner.span.line);
    let message =
        format!("the tests of `{}` are said to be the service `{name}`, and there is none", owner.name);
    let wrong = context.file_error("no-suite", Some(file), Some(line), message);
    wrong.path = format!("services.{}.x-devd.tests", owner.name);
    let known = project.services.keys().chain(project.disabled_services.keys());
    wrong.help(match nearest(name, known.map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name the compose file that has it: `x-devd: {tests: {file: …}}`".to_owned(),
    });
    context.into_error()
}
