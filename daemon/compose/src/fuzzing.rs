//! The inner parsers, for those who throw odd text at them. Each must come to an end, without a panic.

use crate::model::text::{format_duration, parse_bytes, parse_duration, parse_nano_cpus};
use crate::read::fuzzing::{mount, port, range, words};
use crate::{dotenv, substitute};

fn variable(name: &str) -> Option<String> {
    match name {
        "S" => Some("set".to_owned()),
        "E" => Some(String::new()),
        "L" => Some("long ".repeat(1000)),
        "N" => Some("n$S".to_owned()),
        _ => None,
    }
}

/// What comes out is never more than was allowed.
pub fn interpolation(text: &str) {
    let allowed = 1 << 20;
    let mut budget = allowed;
    if let Ok(done) = substitute::substitute(text, &variable, &mut budget) {
        assert!(done.text.len() <= allowed);
        assert!(
            done.unset
                .iter()
                .all(|(name, at)| text.get(*at..).is_some_and(|rest| rest.starts_with('$'))
                    && !name.is_empty())
        );
    }
}

/// What is wrong with a file of variables has its line.
pub fn dotenv(text: &str) {
    let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
    for parse in [dotenv::parse, dotenv::parse_raw] {
        if let Err(error) = parse(text, &variable) {
            assert!((1..=lines).contains(&error.line), "{error:?}");
        }
    }
}

/// What a duration is written as is read as the same.
pub fn short_forms(text: &str) {
    port(text);
    mount(text);
    range(text);
    words(text);
    let _ = (parse_bytes(text), parse_nano_cpus(text));
    if let Some(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&format_duration(duration)), Some(duration), "{text}");
    }
}
