//! Which files decide what `x-devd.tests.prepare` leaves in the dependencies of tests.

use devd_compose::Suite;
use devd_compose::model::{Prepare, Service};
use std::path::Path;

/// Folders in which the tools of the field keep migrations and fixtures: Alembic, Django, Ecto, Flyway, Knex, Laravel,
/// Prisma, Rails and the like.
const FOLDERS: [&str; 9] =
    ["alembic", "fixtures", "migrate", "migration", "migrations", "prisma", "schema", "seeders", "seeds"];

/// Whether this file is one of them.
///
/// Those that `prepare` lists, or else those that its command names and those that look like migrations and fixtures;
/// of what the tests, or something built that they need, have mounted.
pub fn is_input(suite: &Suite, path: &Path) -> bool {
    let Some(prepare) = &suite.settings.prepare else { return false };
    if !prepare.files.is_empty() {
        return prepare.files.iter().any(|listed| path.starts_with(listed));
    }
    let mounts = sources(suite).flat_map(Service::binds);
    let mut inside = mounts.filter_map(|(source, mount)| Some((path.strip_prefix(source).ok()?, mount)));
    inside.any(|(relative, mount)| {
        looks_like_it(relative) || is_named(prepare, relative, &Path::new(&mount.target).join(relative))
    })
}

/// Those whose code may be run to prepare, or shares files with it: the tests, and what is built for them.
pub fn sources(suite: &Suite) -> impl Iterator<Item = &Service> {
    let built = suite.project.closure(&suite.service).into_iter();
    let built = built.filter_map(|name| suite.project.services.get(&name)).filter(|it| it.build.is_some());
    suite.project.services.get(&suite.service).into_iter().chain(built)
}

fn looks_like_it(relative: &Path) -> bool {
    let folder = |part: &std::ffi::OsStr| {
        part.to_str().is_some_and(|part| FOLDERS.contains(&part.to_ascii_lowercase().as_str()))
    };
    relative.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
        || relative.iter().any(folder)
}

/// Whether the command names a file, or a folder around it: by its path, or as a module in Python's way.
fn is_named(prepare: &Prepare, relative: &Path, inside: &Path) -> bool {
    // Commands are often a line for a shell.
    let words = prepare.command.iter().flat_map(|word| {
        word.split(|c: char| {
            c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '<' | '>' | '"' | '\'' | '=')
        })
    });
    let module = relative.with_extension("");
    words.filter(|word| !word.is_empty()).any(|word| {
        let path = Path::new(word.strip_prefix("./").unwrap_or(word));
        relative.starts_with(path)
            || inside.starts_with(path) && path.is_absolute() && path.parent().is_some()
            || !word.contains('/') && module.starts_with(word.replace('.', "/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(command: &[&str], relative: &str) -> bool {
        let prepare =
            Prepare { command: command.iter().map(|word| (*word).to_owned()).collect(), files: Vec::new() };
        let relative = Path::new(relative);
        is_named(&prepare, relative, &Path::new("/app").join(relative))
    }

    #[test]
    fn what_a_command_names() {
        assert!(named(&["python", "manage.py", "migrate"], "manage.py"));
        assert!(named(&["sh", "-c", "alembic upgrade head && ./scripts/seed.sh"], "scripts/seed.sh"));
        assert!(named(&["psql", "-f", "/app/db/schema.txt"], "db/schema.txt"));
        assert!(named(&["python", "-m", "shop.seed"], "shop/seed.py"));
        assert!(named(&["python", "-m", "shop.seed"], "shop/seed/__main__.py"));
        assert!(named(&["make", "-C", "db"], "db/Makefile"));
        assert!(!named(&["python", "manage.py", "migrate"], "shop/views.py"));
        assert!(!named(&["ls", "/"], "main.py"));
        assert!(!named(&["python", "-m", "shop.seed"], "shop/views.py"));
    }

    #[test]
    fn what_looks_like_migrations() {
        for path in ["shop/migrations/0001_initial.py", "db/migrate/20_a.rb", "Schema/a.txt", "a/b.SQL"] {
            assert!(looks_like_it(Path::new(path)), "{path}");
        }
        for path in ["shop/views.py", "migrations.py", "tests/test_migrations.py"] {
            assert!(!looks_like_it(Path::new(path)), "{path}");
        }
    }
}
