//! Secrets taken out of text, by value.

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";
/// Shorter values are left alone: they stand in too many texts for other reasons.
pub const REDACTED_BYTES_MIN: usize = 4;

/// Takes a set of values out of texts.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a value within another leaves nothing of it. Each as it is and as it stands in JSON.
    values: Vec<String>,
}

impl Redactor {
    /// For these values.
    pub fn new<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut redactor = Self::default();
        values.into_iter().for_each(|value| redactor.add(value));
        redactor
    }

    /// For one more.
    pub fn add(&mut self, value: &str) {
        if value.len() < REDACTED_BYTES_MIN || self.values.iter().any(|known| known == value) {
            return;
        }
        let json = serde_json::to_string(value).expect("a text is JSON");
        let escaped = &json[1..json.len() - 1];
        if escaped != value {
            self.values.push(escaped.to_owned());
        }
        self.values.push(value.to_owned());
        self.values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.values.dedup();
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes the values out of `text`, in place. Answers whether any was there. Of a text that ends with `…`, for it
    /// was cut, the beginning of a value before that is taken out, too.
    pub fn redact(&self, text: &mut String) -> bool {
        let mut found = false;
        // First: a shorter value, taken out of the beginning of a longer one, would hide that it began.
        if let Some(begun) = text.strip_suffix('…').and_then(|kept| self.begun_at_the_end_of(kept)) {
            text.truncate(text.len() - '…'.len_utf8() - begun);
            text.push_str(REDACTED);
            text.push('…');
            found = true;
        }
        for value in &self.values {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), REDACTED);
                found = true;
            }
        }
        found
    }

    /// Bytes of the longest beginning of a value that `text` ends with.
    fn begun_at_the_end_of(&self, text: &str) -> Option<usize> {
        let begun = |value: &String| {
            let ends = (REDACTED_BYTES_MIN..value.len().min(text.len() + 1)).rev();
            ends.filter(|end| value.is_char_boundary(*end)).find(|end| text.ends_with(&value[..*end]))
        };
        self.values.iter().filter_map(begun).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_out_as_they_are_and_as_json_has_them() {
        let redactor = Redactor::new(["hunter2", "hunter2-long", "a\"b\\c", "abc"]);
        let redacted = |text: &str| {
            let mut text = text.to_owned();
            redactor.redact(&mut text);
            text
        };
        assert_eq!(redacted("x hunter2-long y hunter2"), "x [redacted] y [redacted]");
        assert_eq!(redacted(r#"{"k":"a\"b\\c"}"#), r#"{"k":"[redacted]"}"#);
        assert_eq!(redacted("abc"), "abc", "three bytes are no secret");
        assert_eq!(redacted("it was hunter2-lo…"), "it was [redacted]…", "cut in the middle");
        assert_eq!(redacted("it was hunt…"), "it was [redacted]…");
        assert_eq!(redacted("it was hun…"), "it was hun…");
    }
}
