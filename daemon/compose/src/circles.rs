//! Which services need each other in a circle.

use std::collections::BTreeMap;

use crate::model::Project;

/// The number of the circle that each service is in. Two services with the same number need each other, perhaps through
/// others; who is in no circle has a number of its own.
pub(crate) fn circles(project: &Project) -> BTreeMap<&str, usize> {
    let services = &project.services;
    let needs: BTreeMap<&str, Vec<&str>> = services
        .iter()
        .map(|(name, service)| {
            (name.as_str(), service.needs().filter(|other| services.contains_key(*other)).collect())
        })
        .collect();
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, others) in &needs {
        for other in others {
            needed_by.entry(other).or_default().push(name);
        }
    }
    // Kosaraju's way: once forwards for an order, once backwards for the circles.
    let mut seen = BTreeMap::new();
    let mut order = Vec::new();
    for start in needs.keys() {
        visit(start, &needs, &mut seen, 0, &mut order);
    }
    let mut found = BTreeMap::new();
    for (number, start) in order.iter().rev().enumerate() {
        visit(start, &needed_by, &mut found, number, &mut Vec::new());
    }
    found
}

/// Numbers whatever can be reached from `start` and has no number yet; `order` gets each after all that it leads to.
fn visit<'a>(
    start: &'a str,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    seen: &mut BTreeMap<&'a str, usize>,
    number: usize,
    order: &mut Vec<&'a str>,
) {
    if seen.contains_key(start) {
        return;
    }
    seen.insert(start, number);
    // Each with how many of its edges have been followed.
    let mut way = vec![(start, 0)];
    while let Some((name, followed)) = way.last_mut() {
        match edges.get(name).and_then(|others| others.get(*followed)) {
            Some(other) => {
                *followed += 1;
                if !seen.contains_key(other) {
                    seen.insert(other, number);
                    way.push((other, 0));
                }
            }
            None => {
                order.push(name);
                way.pop();
            }
        }
    }
}
