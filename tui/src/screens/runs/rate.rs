//! How many lines come in a second, told so roughly that the title seldom changes.

/// Over so long it is counted.
const WINDOW_MS: u64 = 2_000;
/// What is told: the highest of these that is not above the rate.
const STEPS: [u64; 11] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];

/// The rate.
#[derive(Debug, Default)]
pub(super) struct Rate {
    since_ms: Option<u64>,
    lines: u64,
    /// The step that is told, and the rate it was chosen at.
    told: Option<u64>,
}

impl Rate {
    /// So many more came.
    pub(super) fn count(&mut self, now_ms: u64, lines: u64) {
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        self.lines += lines;
        let passed_ms = now_ms.saturating_sub(since_ms);
        if passed_ms < WINDOW_MS {
            return;
        }
        let per_s = self.lines * 1000 / passed_ms;
        self.told = STEPS.into_iter().rev().find(|step| *step <= per_s);
        (self.since_ms, self.lines) = (Some(now_ms), 0);
    }

    /// In words; nothing where there is nothing to tell.
    pub(super) fn told(&self) -> String {
        self.told.map_or_else(String::new, |step| format!("{step}+/s"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_told_in_steps_over_two_seconds() {
        let mut rate = Rate::default();
        rate.count(1_000, 40);
        assert_eq!(rate.told(), "", "too early to say");
        rate.count(3_000, 200);
        assert_eq!(rate.told(), "100+/s");
        rate.count(5_000, 260);
        assert_eq!(rate.told(), "100+/s", "about the same");
        rate.count(7_000, 1);
        assert_eq!(rate.told(), "", "less than one a second");
    }
}
