//! Ages and durations as people say them.

use jiff::Timestamp;

/// The age of a time: `now`, `3s`, `5m`, `2h`, `4d`. Empty when it is no time.
pub(crate) fn age(at: &str, now: Timestamp) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => span(now.duration_since(at).as_secs()),
        Err(_) => String::new(),
    }
}

/// The same with `ago`.
pub(crate) fn ago(at: &str, now: Timestamp) -> String {
    match age(at, now).as_str() {
        "" => String::new(),
        "now" => "now".to_owned(),
        age => format!("{age} ago"),
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        ..1 => "now".to_owned(),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        86_400.. => format!("{}d", seconds / 86_400),
    }
}

/// A duration: `12ms`, `0.4s`, `12s`, `3m05s`, `2h07m`, `3d04h`.
pub(crate) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match milliseconds {
        0..100 => format!("{milliseconds}ms"),
        100..9_950 => format!("{}.{}s", (milliseconds + 50) / 1_000, (milliseconds + 50) % 1_000 / 100),
        9_950..60_000 => format!("{}s", (milliseconds + 500) / 1_000),
        60_000..3_600_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400_000.. => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A duration whose fractions of a millisecond matter: `3.8ms`.
pub(crate) fn microseconds(microseconds: u64) -> String {
    match microseconds {
        0..100_000 => format!("{}.{}ms", microseconds / 1_000, microseconds % 1_000 / 100),
        _ => duration(microseconds / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = "2026-05-01T12:00:00Z".parse().unwrap();
        let said: Vec<String> = [
            "2026-05-01T12:00:05.000Z",
            "2026-05-01T11:59:59.500Z",
            "2026-05-01T11:59:57.000Z",
            "2026-05-01T11:55:00.000Z",
            "2026-05-01T09:00:00.000Z",
            "2026-04-01T12:00:00.000Z",
            "yesterday",
        ]
        .iter()
        .map(|at| ago(at, now))
        .collect();
        assert_eq!(said, ["now", "now", "3s ago", "5m ago", "3h ago", "30d ago", ""]);
    }

    #[test]
    fn short_stages_keep_their_fractions() {
        assert_eq!([0, 3_845, 99_999, 412_000].map(microseconds), ["0.0ms", "3.8ms", "99.9ms", "0.4s"]);
    }

    #[test]
    fn durations_keep_two_units_at_most() {
        let said = [12, 99, 100, 412, 9_949, 9_960, 59_400, 185_000, 7_620_000, 273_600_000].map(duration);
        assert_eq!(said, ["12ms", "99ms", "0.1s", "0.4s", "9.9s", "10s", "59s", "3m05s", "2h07m", "3d04h"]);
    }
}
