//! Durations, sizes and shares of a CPU, to and from the words that compose files use.

use std::time::Duration;

use serde::Serializer;

pub(super) fn duration<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => plain_duration(value, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn plain_duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*value))
}

/// Decimal text, because a JSON reader may take a number for a float.
pub(super) fn bytes<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

pub(super) fn nano_cpus<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(nanos) if nanos % 1_000_000_000 == 0 => serializer.serialize_u64(nanos / 1_000_000_000),
        #[expect(clippy::cast_precision_loss, reason = "a share of a CPU has few digits")]
        Some(nanos) => single(*nanos as f64 / 1e9, serializer),
        None => serializer.serialize_none(),
    }
}

/// With as many digits as a number of single precision has, which is what compose keeps of it.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub(super) fn single<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    let shortest: f64 = (value as f32).to_string().parse().unwrap_or(value);
    if shortest.fract() == 0.0 && shortest.abs() < 1e15 {
        return serializer.serialize_i64(shortest as i64);
    }
    serializer.serialize_f64(shortest)
}

/// `1m30s`, as Go writes it.
pub(crate) fn format_duration(value: Duration) -> String {
    let seconds = value.as_secs();
    let nanos = value.subsec_nanos();
    if seconds == 0 && nanos > 0 {
        let (unit, scale) = match nanos {
            1_000_000.. => ("ms", 1_000_000),
            1_000.. => ("µs", 1_000),
            _ => ("ns", 1),
        };
        return format!("{}{unit}", decimal(u64::from(nanos / scale), nanos % scale, scale));
    }
    let rest = decimal(seconds % 60, nanos, 1_000_000_000);
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

fn decimal(whole: u64, part: u32, scale: u32) -> String {
    if part == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    let part = format!("{part:0digits$}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

/// A Go duration such as `1h30m`, `1.5s`, `500ms`, `0`; days and weeks besides, as compose takes them.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (value, tail) = rest.split_at(number);
        let unit = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(value, scale)?)?;
        rest = tail;
    }
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// `value` is digits with at most one point; what lies under the scale is cut off.
fn scaled(value: &str, scale: u128) -> Option<u128> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part = part.get(..part.len().min(18))?;
    let fraction: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let below = 10u128.checked_pow(u32::try_from(part.len()).ok()?)?;
    whole.checked_mul(scale)?.checked_add(fraction.checked_mul(scale)? / below)
}

/// A size such as `64m`, `1.5gb`, `2 GiB`, `1024`. Units count in 1024, whatever they are called.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let number = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (value, unit) = text.split_at(number);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    let bytes = scaled(value, 1u128 << shift)?;
    u64::try_from(bytes).ok().filter(|bytes| i64::try_from(*bytes).is_ok())
}

/// A share such as `0.5` or `2`, in billionths.
pub(crate) fn parse_nano_cpus(text: &str) -> Option<u64> {
    let well_formed = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let nanos = if well_formed { scaled(text, 1_000_000_000)? } else { return None };
    u64::try_from(nanos).ok().filter(|nanos| i64::try_from(*nanos).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write_as_in_go() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("1.5h", "1h30m0s"),
            ("1h", "1h0m0s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("500ms", "500ms"),
            ("1500us", "1.5ms"),
            ("10ns", "10ns"),
            ("1.25s", "1.25s"),
            ("1d", "24h0m0s"),
        ] {
            assert_eq!(parse_duration(text).map(format_duration).as_deref(), Some(written), "{text}");
        }
        for text in ["", "10", "s", "1x", "1.2.3s", "-1s", "99999999999h", ".s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_count_in_1024() {
        for (text, bytes) in [
            ("64m", 64 << 20),
            ("1.5gb", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1024", 1024),
            ("5b", 5),
            ("10KB", 10240),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "1x", "-1", "1.2.3k", "99999999999p"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
        assert_eq!(parse_nano_cpus("0.5"), Some(500_000_000));
        assert_eq!(parse_nano_cpus("1e3"), None);
    }
}
