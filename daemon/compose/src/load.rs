//! From options to a project: find, parse, interpolate, merge, read, check.

use std::rc::Rc;

use crate::assemble::Assembly;
use crate::context::Context;
use crate::diagnostic::LoadError;
use crate::discover::{self, Found};
use crate::env::Env;
use crate::model::{Places, Project};
use crate::node::{Entry, Node};
use crate::options::{Loaded, Options};
use crate::read::Reader;
use crate::substitute::substitute;
use crate::{parse, paths};

/// Loads a project. The error holds everything that is wrong with its files.
pub fn load(options: &Options) -> Result<Loaded, LoadError> {
    let dir = std::path::absolute(&options.dir).unwrap_or_else(|_| options.dir.clone());
    let options = Options { dir: paths::clean(&dir), ..options.clone() };
    let mut context = Context::default();
    let mut env = Env::new(&options.env);
    env.set_dir(&options.dir);
    let project = load_project(&mut context, &options, &mut env);
    let (used, environment) = (env.used(), env.all());
    let (warnings, inputs) = context.finish()?;
    let project = project.unwrap_or_default();
    Ok(Loaded { project, warnings, inputs, env_used: used, environment })
}

/// `None` only after an error.
fn load_project(context: &mut Context, options: &Options, env: &mut Env<'_>) -> Option<Project> {
    let found = discover::find(context, options, env)?;
    let documents = documents(context, &found)?;
    let name = name(context, options, env, &found, &documents)?;
    env.set_project_name(&name);
    let (root, legacy) = Assembly::new(context, &found.files).combine(env, &found.dir, &documents)?;
    let profiles = discover::profiles(options, env);
    let mut reader = Reader {
        context,
        env,
        dir: &found.dir,
        path: String::new(),
        volumes: Default::default(),
        legacy,
        folders: Vec::new(),
        ports_left: crate::read::MAX_PORTS,
        service: String::new(),
        enabled: true,
        references: Vec::new(),
        places: Places::default(),
        owners: Vec::new(),
    };
    let mut project = reader.project(&root, &name, &profiles);
    reader.check(&mut project);
    reader.prune(&mut project);
    project.places = reader.places;
    project.dir = found.dir;
    project.files = found.files;
    let says = |entry: &Entry| &*entry.key != "version";
    if !root.as_map().unwrap_or_default().iter().any(says) && !context.has_errors() {
        let file = project.files.first().map(|file| file.as_path());
        context
            .file_error("empty-file", file, None, "this compose file says nothing")
            .help("it needs at least `services:` with one service");
    }
    Some(project)
}

/// All documents of all files, in order. `None` when one of the files cannot be read.
fn documents(context: &mut Context, found: &Found) -> Option<Vec<Rc<Node>>> {
    let mut all = Vec::new();
    let mut complete = true;
    for path in &found.files {
        let text = match context.read(path) {
            Ok(text) => text,
            Err(error) => {
                let message = if error.kind() == std::io::ErrorKind::NotFound {
                    "this compose file does not exist".to_owned()
                } else {
                    format!("this compose file cannot be read: {error}")
                };
                let near = crate::paths::nearest_file(path);
                context.file_error("unreadable", Some(path), None, message).help =
                    near.map(|near| format!("did you mean `{}`?", near.display()));
                complete = false;
                continue;
            }
        };
        let file = context.add_source(path, text);
        let Some(documents) = parse::parse(context, file) else {
            complete = false;
            continue;
        };
        let before = all.len();
        all.extend(documents.into_iter().filter(|document| !document.is_null()));
        if all.len() == before {
            context
                .file_error("empty-file", Some(path), None, "this compose file is empty")
                .help("it needs at least `services:` with one service");
            complete = false;
        }
    }
    complete.then_some(all)
}

fn name(
    context: &mut Context,
    options: &Options,
    env: &Env<'_>,
    found: &Found,
    documents: &[Rc<Node>],
) -> Option<String> {
    if let Some(name) = discover::given_name(options, env) {
        let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if !well_formed {
            let message = format!("`{name}` cannot be a project's name");
            let help = "use small letters, digits, `_` and `-`, and start with a letter or digit";
            context.file_error("project-name", None, None, message).help(help);
            return None;
        }
        return Some(name);
    }
    let last = documents.iter().rev().find_map(|document| {
        let entry = document.get("name")?;
        // A service may be called that in the form without `services:`.
        Some((entry.place, entry.value.as_text()?))
    });
    if let Some((place, text)) = last {
        // What is wrong with the expression is said when the whole document is interpolated.
        let done = substitute(text, env, &mut (1 << 16)).ok()?.text;
        let Some(name) = discover::normal_name(&done) else {
            let message = "nothing of this can be a project's name";
            context.error("project-name", place, "name", message).help("use letters or digits");
            return None;
        };
        return Some(name);
    }
    let name = discover::project_name_from_dir(&found.dir);
    if name.is_none() {
        let message = format!("no project name can be made of the folder {}", found.dir.display());
        context
            .file_error("project-name", None, None, message)
            .help("give one with `name:` or `--project-name`");
    }
    name
}
