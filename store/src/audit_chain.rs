//! The audit log as a chain of entries, whatever it is stored in: how the next one is made, and how all are checked.

use picloud_model::audit::{Act, AuditEntry, AuditOutcome, AuditVerdict};
use picloud_model::hash::ContentHash;
use serde_json::Value;

/// The oldest entries are dropped in so many parts of all that are kept, so that it is seldom and short.
const DROP_PARTS: i64 = 200;

/// Longest of each text of an entry; what is longer is cut. Some of them come from callers who are nobody yet.
const TEXT_BYTES_MAX: usize = 1_024;

/// What an entry says beside who, from where and when.
pub(crate) struct Noted<'a> {
    pub(crate) action: &'a str,
    pub(crate) app: Option<&'a str>,
    pub(crate) target: &'a str,
    /// The thing as it was; `None` where it was not there.
    pub(crate) before: Option<Value>,
    /// The thing as it is; `None` where it is gone.
    pub(crate) after: Option<Value>,
}

/// Where the chain of hashes begins and ends.
pub(crate) struct Ends {
    /// The oldest entry that is kept.
    pub(crate) first_seq: i64,
    /// The hash of the entry before it.
    pub(crate) previous_hash: ContentHash,
    /// The newest entry.
    pub(crate) last_seq: i64,
    /// Its hash.
    pub(crate) last_hash: ContentHash,
}

/// The text, or its beginning where it is too long for an entry, with what no database but this one keeps replaced.
pub(crate) fn cut(text: &str) -> String {
    let text = &text.replace('\0', "\u{fffd}");
    match text.char_indices().find(|(at, letter)| at + letter.len_utf8() > TEXT_BYTES_MAX) {
        None => text.to_owned(),
        Some((end, _letter)) => format!("{}…", &text[..end]),
    }
}

/// The first entry that is kept once `last_seq` was added; `None` where none is dropped yet.
pub(crate) fn first_kept(first_seq: i64, last_seq: i64, entries_max: i64) -> Option<i64> {
    (last_seq - first_seq >= entries_max).then(|| last_seq - entries_max + 1 + entries_max / DROP_PARTS)
}

/// An entry, and its two JSON columns as they are stored.
pub(crate) struct Written {
    pub(crate) entry: AuditEntry,
    pub(crate) shown: [Option<String>; 2],
}

impl Written {
    /// The entry behind number `last_seq`, whose hash is `last_hash`.
    pub(crate) fn behind(
        last_seq: i64,
        last_hash: &ContentHash,
        act: &Act,
        outcome: AuditOutcome,
        noted: Noted<'_>,
    ) -> serde_json::Result<Self> {
        let shown = [&noted.before, &noted.after].map(|shown| shown.as_ref().map(Value::to_string));
        let [before, after] = shown.each_ref().map(|text| text.as_deref().map(serde_json::from_str).transpose());
        let mut entry = AuditEntry {
            seq: last_seq + 1,
            at: act.at,
            who: act.who.clone(),
            from: cut(&act.from),
            action: cut(noted.action),
            app: noted.app.map(cut),
            target: cut(noted.target),
            outcome,
            // Out of the stored text: whatever is lost in writing it is lost before it is hashed.
            before: before?,
            after: after?,
            hash: *last_hash,
        };
        entry.hash = entry.chain_hash(last_hash);
        Ok(Self { entry, shown })
    }
}

/// How far the chain was walked.
pub(crate) struct Walk {
    entries: u64,
    last_seq: i64,
    hash: ContentHash,
}

impl Walk {
    /// Before the oldest entry that is kept.
    pub(crate) fn from(ends: &Ends) -> Self {
        Self { entries: 0, last_seq: ends.first_seq - 1, hash: ends.previous_hash }
    }

    /// Goes on to the entry; an error says what is wrong with it.
    pub(crate) fn step(&mut self, seq: i64, entry: Option<AuditEntry>) -> Result<(), String> {
        self.entries += 1;
        let expected = self.last_seq + 1;
        if seq < expected {
            return Err("it was added before the beginning of the log".to_owned());
        }
        if seq > expected {
            return Err(format!("the entries from {expected} on are missing before it"));
        }
        let entry = entry.ok_or("it cannot be read")?;
        if entry.hash != entry.chain_hash(&self.hash) {
            return Err("it is not what was written, or the one before it is not".to_owned());
        }
        (self.last_seq, self.hash) = (seq, entry.hash);
        Ok(())
    }

    /// What comes of it once all entries were walked.
    pub(crate) fn end(&self, ends: &Ends) -> AuditVerdict {
        if self.last_seq != ends.last_seq {
            return self.broken(ends, self.last_seq + 1, format!("entries up to {} are missing", ends.last_seq));
        }
        if self.hash != ends.last_hash {
            let reason = "the last entry is not the one that was written last".to_owned();
            return self.broken(ends, self.last_seq, reason);
        }
        self.verdict(ends)
    }

    fn verdict(&self, ends: &Ends) -> AuditVerdict {
        let any = ends.last_seq >= ends.first_seq;
        AuditVerdict {
            intact: true,
            entries: self.entries,
            first_seq: any.then_some(ends.first_seq),
            last_seq: any.then_some(ends.last_seq),
            head: any.then_some(ends.last_hash),
            broken_at: None,
            reason: None,
        }
    }

    /// It is broken at this entry.
    pub(crate) fn broken(&self, ends: &Ends, seq: i64, reason: String) -> AuditVerdict {
        AuditVerdict { intact: false, broken_at: Some(seq), reason: Some(reason), ..self.verdict(ends) }
    }
}
