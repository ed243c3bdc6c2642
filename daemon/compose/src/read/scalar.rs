//! What a plain YAML scalar stands for, where that matters.

use crate::node::{Node, Style, Value};

pub(super) fn parse_flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "y" | "yes" | "on" => Some(true),
        "0" | "f" | "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// The words that compose takes for true and false in its files.
pub(super) fn parse_word(text: &str) -> Option<bool> {
    if matches!(text, "0" | "1" | "t" | "f" | "T" | "F") { None } else { parse_flag(text) }
}

pub(crate) fn is_true(text: &str) -> bool {
    parse_flag(text) == Some(true)
}

/// What YAML takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Flag,
    Integer,
    Float,
    Date,
    Text,
}

impl Kind {
    /// With its article.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag => "true or false",
            Self::Integer | Self::Float => "a number",
            Self::Date => "a date",
            Self::Text => "a text",
        }
    }
}

/// `None` for lists and mappings.
pub(crate) fn kind(node: &Node) -> Option<Kind> {
    let Value::Scalar { text, style } = &node.value else { return None };
    Some(match style {
        Style::Quoted => Kind::Text,
        Style::Plain if node.is_null() => Kind::Null,
        Style::Plain if matches!(constant(text).as_deref(), Some("true" | "false")) => Kind::Flag,
        Style::Plain if integer(text).is_some() => Kind::Integer,
        Style::Plain if constant(text).is_some() || float(text).is_some() => Kind::Float,
        Style::Plain if date(text).is_some() => Kind::Date,
        Style::Plain => Kind::Text,
    })
}

/// The same as asking for the kind, and fast where there are very many values.
pub(crate) fn is_date(node: &Node) -> bool {
    let Value::Scalar { text, style: Style::Plain } = &node.value else { return false };
    text.as_bytes().get(4) == Some(&b'-') && date(text).is_some()
}

/// Any value, as compose prints what it does not look into.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::List(items) => items.iter().map(|item| to_json(item)).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.to_string(), to_json(&entry.value))).collect())
        }
        Value::Scalar { text, .. } => {
            let written = as_written_by_compose(node).unwrap_or_default();
            match kind(node) {
                None | Some(Kind::Null) => Json::Null,
                Some(Kind::Flag) => Json::Bool(written == "true"),
                Some(Kind::Integer) => match (written.parse::<i64>(), written.parse::<u64>()) {
                    (Ok(number), _) => number.into(),
                    (Err(_), Ok(number)) => number.into(),
                    (Err(_), Err(_)) => Json::String(written),
                },
                Some(Kind::Float) => match written.parse::<f64>() {
                    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and few digits")]
                    Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => (number as i64).into(),
                    // There is no other word for what is not finite.
                    Ok(number) => number.into(),
                    Err(_) => Json::Null,
                },
                Some(Kind::Date) => Json::String(date(text).unwrap_or_default()),
                Some(Kind::Text) => Json::String(text.to_string()),
            }
        }
    }
}

/// The text of a scalar after the round through numbers that compose makes it take: `1.10` is `1.1`, `0755` is `493`.
/// `None` when it is not a scalar.
pub(super) fn as_written_by_compose(node: &Node) -> Option<String> {
    let Value::Scalar { text, style } = &node.value else { return None };
    let number = match style {
        Style::Plain => constant(text).or_else(|| integer(text)).or_else(|| float(text)),
        Style::Quoted => None,
    };
    Some(number.unwrap_or_else(|| text.to_string()))
}

fn constant(text: &str) -> Option<String> {
    let word = match text {
        "true" | "True" | "TRUE" => "true",
        "false" | "False" | "FALSE" => "false",
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => "+Inf",
        "-.inf" | "-.Inf" | "-.INF" => "-Inf",
        ".nan" | ".NaN" | ".NAN" => "NaN",
        _ => return None,
    };
    Some(word.to_owned())
}

fn integer(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') || text.ends_with('_') {
        return None;
    }
    let plain = text.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    let fits = !negative || value <= i64::MIN.unsigned_abs();
    fits.then(|| if negative && value > 0 { format!("-{value}") } else { value.to_string() })
}

fn float(text: &str) -> Option<String> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_well = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let starts = mantissa.starts_with(|c: char| c.is_ascii_digit())
        || part.starts_with(|c: char| c.is_ascii_digit()) && whole.is_empty();
    if !starts || !digits(whole) || !digits(part) || !exponent_is_well {
        return None;
    }
    let value: f64 = text.replace('_', "").parse().ok()?;
    value.is_finite().then(|| go_float(value))
}

/// The shortest text, with an exponent from 1e21 on and below 1e-4.
fn go_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 || (-4..21).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A date with a time perhaps, in RFC 3339, when YAML takes the text for one.
fn date(text: &str) -> Option<String> {
    let (day, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, Some(text.get(at..)?)),
        None => (text, None),
    };
    let [year, month, day] = day.split('-').collect::<Vec<_>>().try_into().ok()?;
    let number = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        let well_formed = digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if well_formed { part.parse::<u32>().ok() } else { None }
    };
    let (year, month, day) = (number(year, 4..=4)?, number(month, 1..=2)?, number(day, 1..=2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    let Some(time) = time else { return Some(format!("{year:04}-{month:02}-{day:02}T00:00:00Z")) };
    // Only with a `T` there may be a zone, and there must be one.
    let (time, zone) = match time.strip_prefix(['T', 't']) {
        Some(time) => time.split_at(time.find(['Z', '+', '-'])?),
        None => (time.strip_prefix(' ')?, "Z"),
    };
    let (time, fraction) = time.split_once('.').map_or((time, ""), |(time, fraction)| (time, fraction));
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hour, minute, second) = (number(hour, 1..=2)?, number(minute, 1..=2)?, number(second, 1..=2)?);
    let zone_is_well = match zone.strip_prefix(['+', '-']) {
        Some(zone) => zone
            .split_once(':')
            .is_some_and(|(h, m)| number(h, 2..=2).is_some() && number(m, 2..=2).is_some()),
        None => zone == "Z",
    };
    let fits = hour < 24 && minute < 60 && second < 60 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    (fits && zone_is_well).then(|| {
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{point}{fraction}{zone}")
    })
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::context::Place;

    #[test]
    fn plain_scalars_come_out_as_compose_prints_them() {
        for (text, written) in [
            ("1.10", "1.1"),
            ("0755", "493"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("1_000", "1000"),
            ("-5", "-5"),
            ("+5", "5"),
            ("1e3", "1000"),
            ("1e21", "1e+21"),
            ("0.00001", "1e-05"),
            ("3.0", "3"),
            (".5", "0.5"),
            ("089", "89"),
            ("2026-01-02", "2026-01-02"),
            ("2026-02-30", "2026-02-30"),
            ("True", "true"),
            ("yes", "yes"),
            ("on", "on"),
            ("1.2.3", "1.2.3"),
            ("127.0.0.1", "127.0.0.1"),
            ("12:30", "12:30"),
            ("18446744073709551615", "18446744073709551615"),
            ("e5", "e5"),
            ("-", "-"),
            ("ä", "ä"),
        ] {
            let place = Place { file: 0, line: 1, column: 1, length: 1 };
            let value = Value::Scalar { text: Rc::from(text), style: Style::Plain };
            let node = Node { place, tag: None, value };
            assert_eq!(as_written_by_compose(&node).as_deref(), Some(written), "{text}");
            assert_eq!(as_written_by_compose(&Node::text(place, text)).as_deref(), Some(text), "{text}");
        }
    }

    #[test]
    fn dates_as_yaml_knows_them() {
        for (text, written) in [
            ("2026-01-02", Some("2026-01-02T00:00:00Z")),
            ("2026-1-2", Some("2026-01-02T00:00:00Z")),
            ("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.1-05:00")),
            ("2001-12-14T21:59:43Z", Some("2001-12-14T21:59:43Z")),
            ("2001-12-14 21:59:43.5", Some("2001-12-14T21:59:43.5Z")),
            ("2026-02-30", None),
            ("2001-12-14T21:59:43", None),
            ("2001-12-14T25:59:43Z", None),
            ("10-12-14", None),
            ("a b", None),
        ] {
            assert_eq!(date(text).as_deref(), written, "{text}");
        }
    }
}
