//! Which rule decided, in words, from the same judgement that a change gets.

use super::{
    project::{Decision, Place, Rule, Why},
    rules::{By, Role, Rules, Service},
    sight::Reason,
};
use std::path::Path;

impl Rules {
    /// What every service makes of a path. Services that the path does not concern are left out.
    pub(super) fn decide(&self, path: &Path, is_dir: bool) -> Vec<Decision> {
        let sights = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) if !is_dir => self.sights(&self.folder(parent), path, name, false),
            _ => self.folder(path).sights,
        };
        self.seen_by(&sights)
            .flat_map(|(service, sight)| service.decisions(&self.judge(service, sight, path)))
            .collect()
    }

    /// The same for people, and whether the project itself is read from the path.
    pub(super) fn why(&self, path: &Path, is_dir: bool) -> Vec<Why> {
        let project = &self.set.project;
        let mut answers = Vec::new();
        if self.set.inputs.contains(path) {
            let text = format!("{project}: reload (the project is read from this file)");
            answers.push(Why { project: project.clone(), decision: None, text });
        }
        answers.extend(self.decide(path, is_dir).into_iter().map(|decision| {
            let text = explain(&decision);
            Why { project: project.clone(), decision: Some(decision), text }
        }));
        answers
    }
}

impl Service {
    /// A judgement with the rules spelled out.
    pub(super) fn decisions(&self, judgement: &super::rules::Judgement) -> Vec<Decision> {
        let rules: Vec<Rule> = self.rules(&judgement.service);
        let tests_rule = self.rules(&judgement.tests).into_iter().next();
        let tests = self.tests(&judgement.tests);
        let actions = self.actions(&judgement.service);
        let hidden = |by: &By| matches!(by, By::Hidden(_));
        let ignored =
            actions.is_empty() && !tests.runs() && (hidden(&judgement.service) || hidden(&judgement.tests));
        let new = |action, develop, tests, rule: Rule, tests_rule: Option<Rule>| Decision {
            service: self.watch.service.clone(),
            action,
            develop,
            tests,
            tests_rule: tests_rule.filter(|other| *other != rule),
            rule,
            ignored,
        };
        if actions.is_empty() {
            // The suite alone, or nobody at all.
            let rule = rules.into_iter().next().or_else(|| tests_rule.clone());
            return rule.map(|rule| new(None, None, tests, rule, tests_rule)).into_iter().collect();
        }
        let all = actions.into_iter().zip(rules).enumerate();
        all.map(|(index, ((action, develop), rule))| {
            // One run of the suite, however many rules there are.
            let (tests, tests_rule) =
                if index == 0 { (tests, tests_rule.clone()) } else { (Default::default(), None) };
            new(Some(action), develop, tests, rule, tests_rule)
        })
        .collect()
    }

    fn rules(&self, by: &By) -> Vec<Rule> {
        match by {
            By::Nothing => Vec::new(),
            By::Hidden(reason) => vec![self.reason(reason)],
            By::File(index) => {
                let file = self.watch.files.get(*index);
                file.map(|file| Rule { text: file.why.clone(), place: file.place.clone() })
                    .into_iter()
                    .collect()
            }
            By::Root(index) => {
                let root = self.watch.roots.get(*index);
                root.map(|root| Rule { text: root.why.clone(), place: root.place.clone() })
                    .into_iter()
                    .collect()
            }
            By::Develop(rules) => rules.iter().filter_map(|&index| self.develop_rule(index)).collect(),
        }
    }

    fn develop_rule(&self, index: usize) -> Option<Rule> {
        let rule = self.watch.rules.get(index)?;
        let text = format!("develop.watch says {} for {}", rule.action, rule.path.display());
        Some(Rule { text, place: rule.place.clone() })
    }

    fn reason(&self, reason: &Reason) -> Rule {
        match reason {
            Reason::BuiltIn(pattern) => {
                Rule { text: format!("devd's own ignore list has `{pattern}`"), place: None }
            }
            Reason::Cache(folder) => Rule {
                text: format!("{} is marked as a cache", folder.display()),
                place: Some(Place { file: folder.join(super::builtin::CACHE_TAG), line: None }),
            },
            Reason::Git(hit) => Rule {
                text: format!("git ignores `{}`", hit.pattern()),
                place: Some(Place { file: hit.file().to_owned(), line: hit.line() }),
            },
            Reason::Pattern(set, pattern) => self.pattern(*set, *pattern),
        }
    }

    fn pattern(&self, set: usize, pattern: usize) -> Rule {
        let set = self.sets.get(set);
        let found = set.and_then(|set| set.patterns.get(pattern));
        let text = found.map_or("", |pattern| pattern.text.as_str());
        let place = || {
            let file = set?.file.clone()?;
            Some(Place { file, line: found.map(|pattern| pattern.line) })
        };
        match set.map(|set| set.role) {
            Some(Role::Own) => {
                Rule { text: format!("x-devd.ignore has `{text}`"), place: self.watch.ignore_place.clone() }
            }
            Some(Role::Exclude(rule) | Role::Include(rule)) => Rule {
                text: format!("develop.watch ignores `{text}`"),
                place: self.watch.rules.get(rule).and_then(|rule| rule.place.clone()),
            },
            Some(Role::Image | Role::Live) | None => {
                Rule { text: format!(".dockerignore has `{text}`"), place: place() }
            }
        }
    }
}

/// A decision in one line for each rule: `api: restart (mounted into the container at /app, compose.yaml:7)`.
pub(super) fn explain(decision: &Decision) -> String {
    let because = |rule: &Rule| match &rule.place {
        Some(place) => format!("{}, {place}", rule.text),
        None => rule.text.clone(),
    };
    let service = &decision.service;
    if decision.ignored {
        return format!("{service}: ignored ({})", because(&decision.rule));
    }
    let tests = match (decision.tests.runs(), decision.tests.rebuilds()) {
        (false, _) => "",
        (true, false) => "run the tests",
        (true, true) => "rebuild the tests' image and run the tests",
    };
    let tests_rule = decision.tests_rule.as_ref().unwrap_or(&decision.rule);
    match (decision.action, tests) {
        (Some(action), "") => format!("{service}: {action} ({})", because(&decision.rule)),
        (None, "") => format!("{service}: nothing ({})", because(&decision.rule)),
        (None, _) => format!("{service}: {tests} ({})", because(tests_rule)),
        (Some(action), _) if decision.tests_rule.is_none() => {
            format!("{service}: {action}, {tests} ({})", because(&decision.rule))
        }
        (Some(action), _) => {
            format!(
                "{service}: {action} ({})\n{service}: {tests} ({})",
                because(&decision.rule),
                because(tests_rule)
            )
        }
    }
}
