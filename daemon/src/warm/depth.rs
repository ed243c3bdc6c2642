//! How many environments of a suite should stand ready.

use std::time::Duration;

/// What that depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs<'a> {
    /// `pool` of the compose file; 0 turns it off.
    pub base: usize,
    /// How long ago one was taken, each time.
    pub takes: &'a [Duration],
    /// How long making the last one took.
    pub making: Duration,
    /// What one needs, in bytes; 0 while that is not known.
    pub cost: u64,
    /// What may be used for them, in bytes; 0 turns it off.
    pub memory: u64,
}

/// Takes longer ago say nothing of now.
const WINDOW: Duration = Duration::from_secs(20);

/// However fast the saves come: each of them also ends the run before it.
const MOST: usize = 4;

/// As many as are taken while one is made, at least `base`, and no more than the memory allows.
pub(super) fn depth(needs: Needs<'_>) -> usize {
    if needs.base == 0 || needs.memory == 0 {
        return 0;
    }
    let recent: Vec<Duration> = needs.takes.iter().copied().filter(|ago| *ago <= WINDOW).collect();
    let oldest = recent.iter().max().copied().unwrap_or_default();
    // A single one is no rate.
    let between = oldest.checked_div(u32::try_from(recent.len()).unwrap_or(u32::MAX)).unwrap_or_default();
    let wanted = match recent.len() {
        0..=2 => needs.base,
        _ if between.is_zero() => MOST,
        _ => (needs.making.div_duration_f64(between).ceil() as usize)
            .saturating_add(1)
            .min(MOST)
            .max(needs.base),
    };
    let affordable = needs.memory.checked_div(needs.cost).map_or(wanted, |count| count as usize);
    wanted.min(affordable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(takes_ms: &[u64]) -> usize {
        let takes: Vec<_> = takes_ms.iter().map(|ago| Duration::from_millis(*ago)).collect();
        let making = Duration::from_millis(1500);
        depth(Needs { base: 1, takes: &takes, making, cost: 100, memory: 1000 })
    }

    #[test]
    fn it_follows_the_rate_of_saves() {
        assert_eq!(with(&[]), 1);
        assert_eq!(with(&[100, 200]), 1);
        // One every five seconds: it is made in time, and one more is there for the next.
        assert_eq!(with(&[0, 5_000, 10_000, 15_000]), 2);
        assert_eq!(with(&[0, 500, 1_000, 1_500]), 4);
        assert_eq!(with(&[0, 0, 0]), 4);
        assert_eq!(with(&[60_000, 61_000, 62_000, 63_000]), 1);
    }

    #[test]
    fn memory_and_the_file_bound_it() {
        let needs = Needs { base: 2, takes: &[], making: Duration::ZERO, cost: 100, memory: 1000 };
        assert_eq!(depth(needs), 2);
        assert_eq!(depth(Needs { memory: 199, ..needs }), 1);
        assert_eq!(depth(Needs { memory: 99, ..needs }), 0);
        assert_eq!(depth(Needs { cost: 0, memory: 1, ..needs }), 2);
        assert_eq!(depth(Needs { cost: 0, memory: 0, ..needs }), 0);
        assert_eq!(depth(Needs { base: 0, ..needs }), 0);
    }
}
