//! Who was not let in, until it is told: a bounded number, equal ones as one.
//!
//! Holders of keys and strangers are bounded each for themselves, so that no flood of strangers hides what a key was
//! refused.

use picloud_model::protocol::Refusal;

/// Refusals of each of the two that are told apart between two tellings.
const TOLD_APART_MAX: usize = 32;

/// What is to be told.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    /// Of keys that are known, and of everybody else.
    kinds: [Kind; 2],
}

#[derive(Debug, Default)]
struct Kind {
    told_apart: Vec<Refusal>,
    others: Option<Refusal>,
}

impl Refusals {
    /// Adds one; true if there was none.
    pub(crate) fn add(&mut self, refusal: Refusal) -> bool {
        let first = self.kinds.iter().all(|kind| kind.told_apart.is_empty());
        self.kinds[usize::from(refusal.key.is_none())].add(refusal);
        first
    }

    /// Takes those that are told apart, and the last of those that are not.
    pub(crate) fn take(&mut self) -> (Vec<Refusal>, Vec<Refusal>) {
        let kinds = std::mem::take(&mut self.kinds);
        let mut others = Vec::new();
        let told_apart = kinds.into_iter().flat_map(|kind| {
            others.extend(kind.others);
            kind.told_apart
        });
        (told_apart.collect(), others)
    }
}

impl Kind {
    fn add(&mut self, refusal: Refusal) {
        let equal = |one: &&mut Refusal| {
            (&one.key, &one.from, &one.app, &one.route) == (&refusal.key, &refusal.from, &refusal.app, &refusal.route)
        };
        if let Some(again) = self.told_apart.iter_mut().find(equal) {
            again.times += refusal.times;
        } else if self.told_apart.len() < TOLD_APART_MAX {
            self.told_apart.push(refusal);
        } else {
            let times = self.others.take().map_or(0, |others| others.times);
            self.others = Some(Refusal { times: times + refusal.times, ..refusal });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::Code;

    fn refusal(key: Option<&str>, from: &str) -> Refusal {
        Refusal {
            key: key.map(str::to_owned),
            from: from.to_owned(),
            app: "kitchen".to_owned(),
            route: "/door".to_owned(),
            code: Code::Unauthenticated,
            detail: "no".to_owned(),
            times: 1,
        }
    }

    #[test]
    fn equal_refusals_are_one_and_a_flood_of_strangers_is_counted_and_hides_no_key() {
        let mut refusals = Refusals::default();
        assert!(refusals.add(refusal(None, "192.0.2.1")), "the first is to be told of");
        for n in 0..1_000 {
            assert!(!refusals.add(refusal(None, &format!("10.0.{}.{}", n / 256, n % 256))));
        }
        refusals.add(refusal(None, "192.0.2.1"));
        refusals.add(refusal(Some("reader"), "192.0.2.1"));
        let (told, others) = refusals.take();
        assert_eq!(told.len(), TOLD_APART_MAX + 1);
        assert_eq!((told[0].key.as_deref(), told[0].times), (Some("reader"), 1));
        assert_eq!((told[1].from.as_str(), told[1].times), ("192.0.2.1", 2));
        assert_eq!(others.iter().map(|one| one.times).collect::<Vec<_>>(), [1_001 - TOLD_APART_MAX as u64]);
        assert_eq!(refusals.take(), (Vec::new(), Vec::new()));
    }
}
