//! Which files make a project, and what it is called.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::env::Env;
use crate::options::Options;
use crate::paths::clean;
use crate::substitute::Lookup as _;

const BASE_NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDE_NAMES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

pub(crate) struct Found {
    pub(crate) dir: PathBuf,
    pub(crate) files: Vec<PathBuf>,
}

/// Finds the files, and reads the `.env` that belongs to them into `env`.
pub(crate) fn find(context: &mut Context, options: &Options, env: &mut Env<'_>) -> Option<Found> {
    let start = &options.dir;
    if !options.files.is_empty() {
        return named(context, options, env, &options.files);
    }
    if let Some(list) = env.process("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        let files = split_list(env, list);
        return named(context, options, env, &files);
    }
    let home = start.ancestors().find(|dir| BASE_NAMES.iter().any(|name| dir.join(name).is_file()));
    let dir = home.unwrap_or(start);
    env.read_files(context, options, dir);
    if let Some(list) = env.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        let files = split_list(env, &list);
        return resolve_all(context, start, &files);
    }
    let files = in_folder(context, dir);
    if files.is_empty() {
        let message = format!("there is no compose file in {} or above it", start.display());
        context
            .file_error("no-compose-file", None, None, message)
            .help(format!("make one named `{}`, or name one with `-f`", BASE_NAMES[0]));
        return None;
    }
    Some(Found { dir: dir.to_owned(), files })
}

/// The compose file of a folder and its override, by their usual names. Empty when there is none.
pub(crate) fn in_folder(context: &mut Context, dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Some(base) = first_of(context, dir, &BASE_NAMES, "compose files") else { return files };
    files.push(base);
    files.extend(first_of(context, dir, &OVERRIDE_NAMES, "override files"));
    files
}

fn first_of(context: &mut Context, dir: &Path, names: &[&str], what: &str) -> Option<PathBuf> {
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
    context.inputs.extend(paths.iter().cloned());
    let mut there = paths.into_iter().filter(|path| path.is_file());
    let first = there.next()?;
    let name =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let others: Vec<String> = there.map(|path| format!("`{}`", name(&path))).collect();
    if !others.is_empty() {
        let message =
            format!("there are several {what}: `{}` is used, {} not", name(&first), others.join(" and "));
        context.file_warning("several-files", &first, None, message);
    }
    Some(first)
}

fn named(context: &mut Context, options: &Options, env: &mut Env<'_>, files: &[PathBuf]) -> Option<Found> {
    let found = resolve_all(context, &options.dir, files)?;
    env.read_files(context, options, &found.dir);
    Some(found)
}

fn resolve_all(context: &mut Context, start: &Path, files: &[PathBuf]) -> Option<Found> {
    if files.iter().any(|file| file.as_os_str() == "-") {
        let message = "a compose file cannot be read from the standard input";
        context.file_error("no-compose-file", None, None, message).help("devd watches the files; name one");
        return None;
    }
    let files: Vec<PathBuf> = files.iter().map(|file| clean(&start.join(file))).collect();
    let dir = files.first()?.parent()?.to_owned();
    Some(Found { dir, files })
}

fn split_list(env: &Env<'_>, list: &str) -> Vec<PathBuf> {
    let separator = env.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
    let separator = separator.as_deref().unwrap_or(if cfg!(windows) { ";" } else { ":" });
    list.split(separator).filter(|name| !name.is_empty()).map(PathBuf::from).collect()
}

/// The active profiles: those asked for, or else those of `COMPOSE_PROFILES`.
pub(crate) fn profiles(options: &Options, env: &Env<'_>) -> Vec<String> {
    if !options.profiles.is_empty() {
        return options.profiles.clone();
    }
    let list = env.get("COMPOSE_PROFILES").unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The name that the caller or the environment gives to the project, as it stands.
pub(crate) fn given_name(options: &Options, env: &Env<'_>) -> Option<String> {
    let asked = options.project_name.clone().filter(|name| !name.is_empty());
    asked.or_else(|| env.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty()))
}

/// The name that a project in `dir` has when nothing else names it. `None` when no letter or digit is left.
pub fn project_name_from_dir(dir: &Path) -> Option<String> {
    normal_name(&dir.file_name()?.to_string_lossy())
}

/// Lower case, without what a name may not hold.
pub(crate) fn normal_name(text: &str) -> Option<String> {
    let kept: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_' || *c == '-')
        .collect();
    let name = kept.trim_start_matches(['_', '-']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_as_compose_does() {
        for (text, name) in [
            ("My App", Some("myapp")),
            ("_x", Some("x")),
            ("A.b-C_1", Some("ab-c_1")),
            ("foo.bar", Some("foobar")),
            ("日本", None),
            ("---", None),
        ] {
            assert_eq!(project_name_from_dir(&Path::new("/somewhere").join(text)).as_deref(), name, "{text}");
        }
        assert_eq!(project_name_from_dir(Path::new("/")), None);
    }
}
