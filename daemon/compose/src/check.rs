//! Whether the parts of a project fit together.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Condition, NetworkMode, Project};
use crate::paths::nearest;
use crate::read::Reader;
use crate::read::project::{Kind, Reference};

/// Of all the circles in a project, as many are told.
const MAX_CIRCLES: usize = 5;

impl Reader<'_> {
    /// Says what is wrong between the parts, and takes out wished dependencies that are not there.
    pub(crate) fn check(&mut self, project: &mut Project) {
        let references = std::mem::take(&mut self.references);
        for reference in &references {
            if project.services.contains_key(&reference.service) && !self.context.is_full() {
                self.check_reference(project, reference);
            }
        }
        self.check_container_names(project, &references);
        let names: BTreeSet<String> = project.services.keys().cloned().collect();
        for service in project.services.values_mut() {
            let (here, gone) = std::mem::take(&mut service.depends_on)
                .into_iter()
                .partition(|(name, dependency)| dependency.required || names.contains(name));
            (service.depends_on, service.wished) = (here, gone);
        }
        self.check_circles(project, &references);
        self.references = references;
    }

    fn check_reference(&mut self, project: &Project, reference: &Reference) {
        let Reference { service, kind, name, .. } = reference;
        let (code, message, help) = match kind {
            Kind::Container => return,
            Kind::Wish if project.disabled_services.contains_key(name) => return,
            Kind::Network => {
                if project.networks.contains_key(name) {
                    return;
                }
                let near = nearest(name, project.networks.keys().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare it at the top level: `networks: {{{name}: }}`"),
                };
                ("undefined-network", format!("there is no network `{name}`"), help)
            }
            Kind::Volume => {
                if project.volumes.contains_key(name) {
                    return;
                }
                ("undefined-volume", format!("there is no volume `{name}`"), self.volume_help(name))
            }
            Kind::Model => {
                if project.models.contains_key(name) {
                    return;
                }
                let help = match nearest(name, project.models.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare it at the top level: `models: {{{name}: {{model: …}}}}`"),
                };
                ("undefined-model", format!("there is no model `{name}`"), help)
            }
            Kind::Secret | Kind::BuildSecret | Kind::Config => {
                let what = kind.noun();
                let known = if *kind == Kind::Config { &project.configs } else { &project.secrets };
                if known.contains_key(name) {
                    return;
                }
                let help = match nearest(name, known.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare it at the top level: `{what}s: {{{name}: {{file: …}}}}`"),
                };
                let code = if *kind == Kind::Config { "undefined-config" } else { "undefined-secret" };
                (code, format!("there is no {what} `{name}`"), help)
            }
            Kind::Context if project.services.get(name).is_some_and(|other| other.build.is_none()) => {
                let message = format!("`{service}` builds on `{name}`, which is not built");
                (
                    "no-build",
                    message,
                    format!("give `{name}` a `build`, or name its image: `docker-image://…`"),
                )
            }
            Kind::Dependency
            | Kind::Wish
            | Kind::Link
            | Kind::Namespace
            | Kind::VolumesFrom
            | Kind::Context => {
                let verb = match *kind {
                    Kind::Link => "links to",
                    Kind::Namespace if reference.path.ends_with("network_mode") => "shares the network of",
                    Kind::Namespace => "shares a namespace of",
                    Kind::VolumesFrom => "mounts the volumes of",
                    Kind::Context => "builds on",
                    _ => "depends on",
                };
                if name == service && *kind != Kind::Dependency {
                    let help = "take it out: a service knows itself as `localhost`";
                    ("self-reference", format!("`{service}` {verb} itself"), help.to_owned())
                } else if project.services.contains_key(name) {
                    return;
                } else if let Some(disabled) = project.disabled_services.get(name) {
                    let profile = disabled.profiles.first().cloned().unwrap_or_default();
                    let message = format!("`{service}` {verb} `{name}`, which no active profile enables");
                    (
                        "disabled-service",
                        message,
                        format!("add `--profile {profile}`, or give `{service}` the same profile"),
                    )
                } else {
                    let known = project.services.keys().chain(project.disabled_services.keys());
                    let help = match nearest(name, known.map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("add a service `{name}`, or take this out"),
                    };
                    (
                        "undefined-service",
                        format!("`{service}` {verb} `{name}`, and there is no such service"),
                        help,
                    )
                }
            }
        };
        self.context.error(code, reference.place, &reference.path, message).help(help);
    }

    fn check_container_names(&mut self, project: &Project, references: &[Reference]) {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        let named = references.iter().filter(|known| known.kind == Kind::Container);
        for known in named.filter(|known| project.services.contains_key(&known.service)) {
            if let Some(first) = seen.insert(&known.name, &known.service) {
                let message = format!("`{first}` and `{}` have the same container name", known.service);
                self.context
                    .error("conflict", known.place, &known.path, message)
                    .help("give them different names, or none");
            }
        }
    }

    /// Services that wait for each other would wait for ever. Links order nothing, so they may be circular.
    fn check_circles(&mut self, project: &Project, references: &[Reference]) {
        let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, service) in &project.services {
            let known = service.depends_on.keys().map(String::as_str);
            open.insert(name, known.filter(|other| project.services.contains_key(*other)).collect());
        }
        for _ in 0..MAX_CIRCLES {
            remove_startable(&mut open);
            let Some(circle) = find_circle(&open) else { return };
            self.say_circle(project, references, &circle);
            for name in &circle {
                open.remove(name);
            }
            for waits in open.values_mut() {
                waits.retain(|name| !circle.contains(name));
            }
        }
    }

    fn say_circle(&mut self, project: &Project, references: &[Reference], circle: &[&str]) {
        let edges: Vec<(&str, &str)> =
            circle.iter().copied().zip(circle.iter().copied().cycle().skip(1)).take(circle.len()).collect();
        let condition = |from: &str, to: &str| {
            let dependency = project.services.get(from).and_then(|service| service.depends_on.get(to));
            dependency.map(|dependency| dependency.condition).unwrap_or_default()
        };
        let shares = |from: &str, to: &str| {
            let mode = project.services.get(from).and_then(|service| service.network_mode.as_ref());
            matches!(mode, Some(NetworkMode::Service(name)) if name == to)
        };
        // The edge that asks for least is the one most likely to be superfluous.
        let weakest = edges.iter().copied().min_by_key(|(from, to)| {
            (shares(from, to), condition(from, to) != Condition::Started, condition(from, to))
        });
        let Some((from, to)) = weakest else { return };
        let names: Vec<String> = circle.iter().chain(circle.first()).map(|name| (*name).to_owned()).collect();
        let message = if circle.len() == 1 {
            format!("`{from}` depends on itself")
        } else {
            format!("these services wait for each other: {}", names.join(" -> "))
        };
        let help = match (shares(from, to), circle.len()) {
            (true, _) => format!("`{from}` needs the network of `{to}`; let `{to}` not wait for it"),
            (false, 1) => "take it out".to_owned(),
            (false, _) => format!(
                "take `{to}` out of `depends_on` of `{from}`; services find each other by name in any order"
            ),
        };
        let is_edge = |known: &&Reference| {
            known.service == from
                && known.name == to
                && matches!(known.kind, Kind::Dependency | Kind::Wish | Kind::Namespace)
        };
        if let Some(edge) = references.iter().find(is_edge) {
            self.context.error("dependency-cycle", edge.place, &edge.path, message).help(help);
        } else {
            self.context.file_error("dependency-cycle", None, None, message).help(help);
        }
    }
}

/// Takes out every service that waits for none of those left.
fn remove_startable<'a>(open: &mut BTreeMap<&'a str, BTreeSet<&'a str>>) {
    let mut waiting_for: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, waits) in open.iter() {
        for other in waits {
            waiting_for.entry(other).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> =
        open.iter().filter(|(_, waits)| waits.is_empty()).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop() {
        open.remove(name);
        for other in waiting_for.get(name).into_iter().flatten() {
            if let Some(waits) = open.get_mut(other)
                && waits.remove(name)
                && waits.is_empty()
            {
                ready.push(other);
            }
        }
    }
}

/// Where every service waits for another, following any of them ends in a circle. It starts at its first name.
fn find_circle<'a>(open: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Option<Vec<&'a str>> {
    let mut way: Vec<&str> = Vec::new();
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next = *open.keys().next()?;
    loop {
        if let Some(start) = at.get(next) {
            let mut circle = way.split_off(*start);
            let first =
                circle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(index, _)| index);
            circle.rotate_left(first);
            return Some(circle);
        }
        at.insert(next, way.len());
        way.push(next);
        next = *open.get(next)?.iter().find(|name| open.contains_key(*name))?;
    }
}
