//! The names of signals, as Docker takes them.

/// What stops a process when nothing else is said.
pub(super) const TERM: u32 = 15;

/// The numbers of Linux on x86-64 and ARM, where they are the same.
const NAMES: [(&str, u32); 30] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", TERM),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
];

/// The number of `SIGTERM`, `TERM`, `15`, `RTMIN+3`.
pub(super) fn number(name: &str) -> Option<u32> {
    const RTMIN: u32 = 34;
    if let Ok(number) = name.parse() {
        return Some(number).filter(|number| (1..=64).contains(number));
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = short.strip_prefix("RTMIN") {
        let offset = offset.strip_prefix('+').map_or(Some(0), |offset| offset.parse().ok());
        return offset.filter(|offset| *offset <= 30).map(|offset| RTMIN + offset);
    }
    NAMES.iter().find(|(name, _)| *name == short).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_are_as_docker_takes_them() {
        let of = |names: [&str; 4]| names.map(number);
        assert_eq!(of(["SIGTERM", "int", "9", "SIGRTMIN+3"]), [Some(15), Some(2), Some(9), Some(37)]);
        assert_eq!(of(["", "SIG", "0", "RTMIN+99"]), [None; 4]);
    }
}
