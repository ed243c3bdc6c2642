//! Ways in to the short forms.

use super::{short, words};

pub(crate) fn port(text: &str) {
    if let Ok(port) = short::parse_port(text) {
        assert!(port.target.first <= port.target.last, "{text}");
    }
}

pub(crate) fn mount(text: &str) {
    if let Ok(mount) = short::parse_mount(text) {
        let target = short::clean_target(mount.target);
        assert_eq!(short::clean_target(&target), target, "{text}");
    }
}

pub(crate) fn range(text: &str) {
    if let Some(range) = short::parse_range(text) {
        assert_eq!(short::parse_range(&range.to_string()), Some(range), "{text}");
    }
}

pub(crate) fn words(text: &str) {
    if let Ok(split) = words::split(text) {
        assert!(split.words.iter().map(String::len).sum::<usize>() <= text.len(), "{text}");
    }
}
