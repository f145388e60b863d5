//! Finding by typing a part: the letters in their order, with others between them, best first.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// Indices of the candidates that have what was typed, best first; all of them, in their order, where nothing was.
pub(crate) fn find<'a>(typed: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<usize> {
    if typed.trim().is_empty() {
        return candidates.enumerate().map(|(index, _)| index).collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut letters = Vec::new();
    let mut found: Vec<(u32, usize)> = candidates
        .enumerate()
        .filter_map(|(index, text)| {
            let score = pattern.score(Utf32Str::new(text, &mut letters), &mut matcher)?;
            Some((score, index))
        })
        .collect();
    found.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
    found.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_found_in_their_order_and_the_best_comes_first() {
        let names = ["kitchen/lights", "blog/feed", "blog/fetch-heed", "Garden/Feed"];
        let found = |typed| find(typed, names.iter().copied());
        assert_eq!(found("feed"), [1, 3, 2]);
        assert_eq!(found("blogfe"), [1, 2]);
        assert_eq!(found("zz"), Vec::<usize>::new());
        assert_eq!(found("  "), [0, 1, 2, 3]);
    }
}
