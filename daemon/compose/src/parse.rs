//! YAML text to trees. The only module that knows the parser.
//!
//! Anchors, aliases, `<<` and duplicate keys are dealt with here. Everything after this may walk the tree without
//! thinking of bombs: its depth, its size with all aliases expanded, and its text are bounded.

use std::collections::BTreeMap;
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::context::{Context, Place};
use crate::node::{Entry, Node, Style, Tag, Value};
use crate::read::{ScalarKind, scalar_kind};

const MAX_DEPTH: usize = 100;
const MAX_NODES: usize = 200_000;
/// Keys are repeated in paths, so a long one costs often.
const MAX_KEY: usize = 1024;
const MAX_PROBLEMS: usize = 200;
/// Of scalar text, with all aliases expanded.
const MAX_TEXT: usize = 32 << 20;

/// The documents of a file. What is wrong goes to the context; after a syntax error the file counts as empty.
pub(crate) fn parse(context: &mut Context, file: usize) -> Option<Vec<Rc<Node>>> {
    // Moved out, so that the events can borrow the text while errors are written.
    let text = std::mem::take(&mut context.sources.get_mut(file)?.text);
    let mut builder = Builder {
        file,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        documents: Vec::new(),
        nodes: 0,
        text: 0,
        problems: Vec::new(),
    };
    let mut complete = true;
    for event in Parser::new_from_str(&text) {
        let result = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let mark = error.marker();
                let place =
                    Place { file, line: to_u32(mark.line()), column: to_u32(mark.col() + 1), length: 1 };
                let mut problem =
                    Problem::new("yaml-syntax", place, format!("this is not valid YAML: {}", error.info()));
                problem.help = syntax_help(&error.info());
                Err(problem)
            }
        };
        if let Err(problem) = result {
            builder.problems.push(*problem.at(builder.path()));
            complete = false;
            break;
        }
    }
    if let Some(source) = context.sources.get_mut(file) {
        source.text = text;
    }
    for problem in builder.problems {
        let other = problem.other.map(|place| {
            let span = context.span(place);
            format!("{}:{}:{}", span.file.display(), span.line, span.column)
        });
        let message = match other {
            Some(other) => format!("{}, first at {other}", problem.message),
            None => problem.message,
        };
        let say = if problem.is_warning { Context::warning } else { Context::error };
        say(context, problem.code, problem.place, &problem.path, message).help =
            problem.help.map(str::to_owned);
    }
    complete.then_some(builder.documents)
}

struct Problem {
    code: &'static str,
    place: Place,
    message: String,
    help: Option<&'static str>,
    /// The first of two places.
    other: Option<Place>,
    path: String,
    is_warning: bool,
}

impl Problem {
    fn new(code: &'static str, place: Place, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            place,
            message: message.into(),
            help: None,
            other: None,
            path: String::new(),
            is_warning: false,
        })
    }

    fn at(mut self: Box<Self>, path: String) -> Box<Self> {
        self.path = path;
        self
    }
}

struct Builder {
    file: usize,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Anchored>,
    documents: Vec<Rc<Node>>,
    nodes: usize,
    text: usize,
    /// Those after which reading goes on.
    problems: Vec<Problem>,
}

/// A finished node with an anchor, and what each use of it costs.
#[derive(Clone)]
struct Anchored {
    node: Rc<Node>,
    nodes: usize,
    text: usize,
    height: usize,
}

/// A list or mapping that is not closed yet.
struct Frame {
    place: Place,
    anchor: usize,
    tag: Option<Tag>,
    nodes_before: usize,
    text_before: usize,
    /// The tallest child so far.
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        index: BTreeMap<Rc<str>, usize>,
        key: Option<Key>,
        merged: Vec<Rc<Node>>,
        /// Where a `<<` stands.
        merges: Option<Place>,
    },
}

struct Key {
    text: Rc<str>,
    place: Place,
    /// A plain `<<`.
    merges: bool,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.place(span);
                self.spend(place, 1, text.len())?;
                let is_text = tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let quoted = style != ScalarStyle::Plain || is_text;
                let style = if quoted { Style::Quoted } else { Style::Plain };
                let length = text.len();
                let value = Value::Scalar { text: Rc::from(text.as_ref()), style };
                let tag = self.tag(tag.as_deref(), span);
                let node = Rc::new(Node { place, tag, value });
                if anchor != 0 {
                    let anchored = Anchored { node: Rc::clone(&node), nodes: 1, text: length, height: 0 };
                    self.anchors.insert(anchor, anchored);
                }
                self.add(node, 0)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), span);
                self.open(span, anchor, tag, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    index: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                    merges: None,
                };
                let tag = self.tag(tag.as_deref(), span);
                self.open(span, anchor, tag, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                let place = self.place(span);
                let Some(anchored) = self.anchors.get(&id).cloned() else {
                    let message = "this alias stands inside the value that it names";
                    return Err(Problem::new("yaml-alias", place, message));
                };
                self.spend(place, anchored.nodes, anchored.text)?;
                if self.stack.len() + anchored.height > MAX_DEPTH {
                    return Err(too_deep(place));
                }
                self.add(anchored.node, anchored.height)
            }
            Event::DocumentStart(..) => {
                self.anchors.clear();
                Ok(())
            }
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // Of no meaning here: names of anchors, aliases of nothing, comments.
            _ => Ok(()),
        }
    }

    fn open(
        &mut self,
        span: Span,
        anchor: usize,
        tag: Option<Tag>,
        content: Content,
    ) -> Result<(), Box<Problem>> {
        let place = self.place(span);
        if self.stack.len() >= MAX_DEPTH {
            return Err(too_deep(place));
        }
        let (nodes_before, text_before) = (self.nodes, self.text);
        self.spend(place, 1, 0)?;
        self.stack.push(Frame { place, anchor, tag, nodes_before, text_before, height: 0, content });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Box<Problem>> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map { mut entries, mut index, merged, .. } => {
                // Keys of the mapping itself win, then those of the earlier merged mapping.
                for source in merged {
                    for entry in source.as_map().unwrap_or_default() {
                        if !index.contains_key(&entry.key) {
                            index.insert(Rc::clone(&entry.key), entries.len());
                            entries.push(entry.clone());
                        }
                    }
                }
                Value::Map(entries)
            }
        };
        let node = Rc::new(Node { place: frame.place, tag: frame.tag, value });
        let height = frame.height + 1;
        if frame.anchor != 0 {
            let (nodes, text) = (self.nodes - frame.nodes_before, self.text - frame.text_before);
            self.anchors.insert(frame.anchor, Anchored { node: Rc::clone(&node), nodes, text, height });
        }
        self.add(node, height)
    }

    /// Puts a finished node where it belongs: into the innermost open list or mapping, as a value or as a key.
    fn add(&mut self, node: Rc<Node>, height: usize) -> Result<(), Box<Problem>> {
        if let Some(problem) = self.insert(node, height)? {
            self.note(problem);
        }
        Ok(())
    }

    /// `Ok(Some(_))` is a problem after which reading goes on.
    fn insert(&mut self, node: Rc<Node>, height: usize) -> Result<Option<Box<Problem>>, Box<Problem>> {
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Ok(None);
        };
        frame.height = frame.height.max(height);
        let (entries, index, key, merged, merges) = match &mut frame.content {
            Content::List(items) => {
                items.push(node);
                return Ok(None);
            }
            Content::Map { entries, index, key, merged, merges } => (entries, index, key, merged, merges),
        };
        let Some(name) = key.take() else {
            let Value::Scalar { text, style } = &node.value else {
                let message = format!("a key must be a single word, not {}", node.kind());
                return Err(Problem::new("yaml-key", node.place, message));
            };
            if text.len() > MAX_KEY {
                let message = format!("this key is longer than {MAX_KEY} bytes");
                return Err(Problem::new("yaml-key", node.place, message));
            }
            // Of anything else, the first letter tells already.
            let odd = |c: char| c.is_ascii_digit() || "+-.~tTfFnN".contains(c);
            let kind = if text.is_empty() || text.starts_with(odd) { scalar_kind(&node) } else { None };
            let problem = kind.filter(|kind| *kind != ScalarKind::Text).map(|kind| {
                let message = format!("a key must be a text, and `{text}` is {}", kind.noun());
                let mut problem = Problem::new("yaml-key", node.place, message);
                problem.help = Some("put it in quotes");
                problem
            });
            let merges = &**text == "<<" && *style == Style::Plain;
            *key = Some(Key { text: Rc::clone(text), place: node.place, merges });
            return Ok(problem);
        };
        if name.merges {
            if let Some(first) = merges.replace(name.place) {
                let mut problem = Problem::new("duplicate-key", name.place, "`<<` is there twice".to_owned());
                problem.other = Some(first);
                problem.help = Some("merge several with a list: `<<: [*one, *other]`");
                return Ok(Some(problem));
            }
            match &node.value {
                Value::Map(_) => merged.push(node),
                Value::List(items) if items.iter().all(|item| item.as_map().is_some()) => {
                    merged.extend(items.iter().cloned());
                }
                Value::Scalar { .. } | Value::List(_) => {
                    let message = format!("`<<` takes a mapping or a list of mappings, not {}", node.kind());
                    return Ok(Some(Problem::new("yaml-merge", node.place, message)));
                }
            }
            return Ok(None);
        }
        let first = index.get(&name.text).and_then(|index| entries.get_mut(*index));
        let Some(first) = first else {
            index.insert(Rc::clone(&name.text), entries.len());
            entries.push(Entry { key: name.text, place: name.place, value: node });
            return Ok(None);
        };
        // Compose lets a reset and a new value stand side by side; the value is what remains.
        if first.value.tag == Some(Tag::Reset) {
            *first = Entry { key: name.text, place: name.place, value: node };
        } else if node.tag != Some(Tag::Reset) {
            let mut problem =
                Problem::new("duplicate-key", name.place, format!("`{}` is set twice", name.text));
            problem.other = Some(first.place);
            problem.help = Some("keep one of them");
            return Ok(Some(problem));
        }
        Ok(None)
    }

    fn spend(&mut self, place: Place, nodes: usize, text: usize) -> Result<(), Box<Problem>> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        if self.nodes <= MAX_NODES && self.text <= MAX_TEXT {
            return Ok(());
        }
        let mut problem =
            Problem::new("too-large", place, "with its aliases expanded, this file is too large");
        problem.help = Some("aliases that name values with aliases in them grow fast");
        Err(problem)
    }

    fn tag(&mut self, tag: Option<&granit_parser::Tag>, span: Span) -> Option<Tag> {
        let tag = tag?;
        match tag.original_parts() {
            ("!", "reset") => return Some(Tag::Reset),
            ("!", "override") => return Some(Tag::Override),
            _ => {}
        }
        if tag.is_custom() {
            // It may be the value itself, of a password that begins so: the line shows it where that can be none.
            let message = "this tag is not known, so it is ignored";
            let mut problem =
                Problem::new("unknown-tag", self.place(span.tag_span().unwrap_or(span)), message);
            problem.help = Some("known are `!reset` and `!override`; quote a value that begins with `!`");
            problem.is_warning = true;
            self.note(problem);
        }
        None
    }

    /// Remembers a problem after which reading goes on.
    fn note(&mut self, problem: Box<Problem>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(*problem.at(self.path()));
        }
    }

    fn place(&self, span: Span) -> Place {
        let (start, end) = (span.start, span.end);
        let same_line = start.line() == end.line();
        let length = if same_line { end.col().saturating_sub(start.col()).max(1) } else { 1 };
        Place {
            file: self.file,
            line: to_u32(start.line()).max(1),
            column: to_u32(start.col() + 1),
            length: to_u32(length),
        }
    }

    /// Where the builder stands, for messages.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            match &frame.content {
                Content::List(items) => path.push_str(&format!("[{}]", items.len())),
                Content::Map { key: Some(key), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&key.text);
                }
                Content::Map { key: None, .. } => {}
            }
        }
        path
    }
}

/// How the most common slips are mended.
fn syntax_help(info: &str) -> Option<&'static str> {
    let known = [
        ("unclosed quote", "close the quote on the same line"),
        ("unknown anchor", "name the value with `&name` before `*name` stands for it"),
        ("tab", "indent with spaces"),
        ("expected ',' or '}'", "close the `{`, or put a `,` between its entries"),
        ("expected ',' or ']'", "close the `[`, or put a `,` between its items"),
        ("mapping values are not allowed", "put the value in quotes, or begin the key on a line of its own"),
        ("expected key", "look at how far this line and those above it are indented"),
        ("indent", "look at how far this line and those above it are indented"),
        ("block", "look at how far this line and those above it are indented"),
    ];
    let lower = info.to_lowercase();
    known.iter().find(|(part, _)| lower.contains(&part.to_lowercase())).map(|(_, help)| *help)
}

fn too_deep(place: Place) -> Box<Problem> {
    Problem::new("too-deep", place, format!("this is nested more than {MAX_DEPTH} levels deep"))
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
