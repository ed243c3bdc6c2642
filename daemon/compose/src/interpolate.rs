//! Variables in the values of a tree.

use std::rc::Rc;

use crate::context::{Context, Place, is_secret};
use crate::env::Env;
use crate::node::{Entry, Node, Value};
use crate::substitute::{ProblemKind, substitute};

/// Of all values of a project: a file can name one long variable very often.
const MAX_TEXT: usize = 32 << 20;

pub(crate) struct Interpolation<'a> {
    context: &'a mut Context,
    env: &'a Env<'a>,
    path: String,
}

impl<'a> Interpolation<'a> {
    pub(crate) fn new(context: &'a mut Context, env: &'a Env<'a>) -> Self {
        Self { context, env, path: String::new() }
    }

    pub(crate) fn node(&mut self, node: &Rc<Node>) -> Rc<Node> {
        let value = match &node.value {
            Value::Scalar { text, .. } => {
                if !text.contains('$') {
                    return Rc::clone(node);
                }
                return Rc::new(Node { tag: node.tag, ..self.scalar(node, text) });
            }
            Value::List(items) => {
                let items = items.iter().enumerate();
                Value::List(items.map(|(index, item)| self.within(&format!("[{index}]"), item)).collect())
            }
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| {
                        let dot = if self.path.is_empty() { "" } else { "." };
                        let value = self.within(&format!("{dot}{}", entry.key), &entry.value);
                        Entry { key: Rc::clone(&entry.key), place: entry.place, value }
                    })
                    .collect(),
            ),
        };
        Rc::new(Node { place: node.place, tag: node.tag, value })
    }

    fn within(&mut self, segment: &str, node: &Rc<Node>) -> Rc<Node> {
        let length = self.path.len();
        self.path.push_str(segment);
        let node = self.node(node);
        self.path.truncate(length);
        node
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Node {
        let mut budget = MAX_TEXT.saturating_sub(self.context.text_bytes);
        let done = substitute(text, self.env, &mut budget);
        self.context.text_bytes = MAX_TEXT.saturating_sub(budget);
        let done = match done {
            Ok(done) => done,
            Err(problem) => {
                // Behind an alias, it was said already.
                if !self.context.is_poisoned(node.place) {
                    let place = self.place_of(node.place, text, problem.offset);
                    self.problem(place, problem.kind);
                    self.context.poison(node.place);
                }
                return node.clone();
            }
        };
        for (name, offset) in done.unset {
            if self.context.warned.insert(name.clone()) {
                let place = self.place_of(node.place, text, offset);
                let message = format!("the variable `{name}` is not set, so it counts as empty");
                self.context.warning("unset-variable", place, &self.path, message).help(format!(
                    "set it in the environment or in `.env`, or give it a default: `${{{name}:-…}}`"
                ));
            }
        }
        Node::text(node.place, done.text)
    }

    fn problem(&mut self, place: Place, kind: ProblemKind) {
        let (code, message, help) = match kind {
            ProblemKind::Malformed(expression) => {
                let message = if is_secret(&self.path) {
                    "this is not a variable expression".to_owned()
                } else {
                    format!("`{expression}` is not a variable expression")
                };
                let help = "write `$$` for a dollar sign; the forms are `${NAME}`, `${NAME:-default}`, \
                            `${NAME:+other}` and `${NAME:?message}`";
                ("interpolation", message, help.to_owned())
            }
            ProblemKind::Required { name, message } => {
                let reason = if message.is_empty() { String::new() } else { format!(": {message}") };
                let text = format!("the variable `{name}` is required, and it is not set{reason}");
                ("required-variable", text, format!("set `{name}` in the environment or in `.env`"))
            }
            ProblemKind::TooLong => {
                let message = "with its variables replaced, the project is too large".to_owned();
                ("too-large", message, "some variable is very long, or used very often".to_owned())
            }
        };
        self.context.error(code, place, &self.path, message).help(help);
    }

    /// Where the `$` at byte `offset` of a value stands in the file. Quoting and folding move it about, but the
    /// n-th dollar sign of the value is the n-th one of its source.
    fn place_of(&self, start: Place, text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or_default().matches('$').count();
        let source = self.context.sources.get(start.file).and_then(|source| source.text_at(start));
        let found = source.and_then(|source| {
            let (at, _) = source.match_indices('$').nth(before)?;
            Some((source.get(..at)?, source.get(at..)?))
        });
        let Some((skipped, rest)) = found else { return start };
        let line = rest.lines().next().unwrap_or_default();
        let length = match line.find('}') {
            Some(end) if line.starts_with("${") => line.get(..=end).unwrap_or_default().chars().count(),
            _ => 1 + line.chars().skip(1).take_while(|c| c.is_alphanumeric() || "_{".contains(*c)).count(),
        };
        let lines = skipped.matches('\n').count();
        let column = match skipped.rsplit_once('\n') {
            Some((_, last)) => last.chars().count() + 1,
            None => usize::try_from(start.column).unwrap_or(1) + skipped.chars().count(),
        };
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place {
            file: start.file,
            line: start.line.saturating_add(narrow(lines)),
            column: narrow(column),
            length: narrow(length),
        }
    }
}
