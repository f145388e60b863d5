//! The audit log, newest first: who changed what, who was refused what, and what it was before and after.

use super::page::{Page, none_selected};
use crate::app::{Answered, Context, Offer, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Ink;
use crate::widgets::list::{Column, List, Row, inked};
use crate::widgets::reader::Reader;
use crate::widgets::state::State;
use crate::widgets::{json, text};
use picloud_model::audit::{AuditEntry, AuditOutcome, AuditVerdict};
use picloud_model::page::Page as Items;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// The newest entries, and those before what is shown.
const AUDIT: &str = "audit";
const MORE: &str = "audit-more";
/// Whether the record is whole.
const VERIFY: &str = "audit-verify";
/// Changes are waited for so long before they are read: many come at once.
const SOON: &str = "audit-soon";
const SOON_MS: u64 = 250;
/// Entries of a page; and so near the end the next one is read.
const PAGE: u32 = 200;
const NEAR_LINES: usize = 50;
/// Entries that are kept.
const ENTRIES_MAX: usize = 10_000;

static COLUMNS: [Column; 6] = [
    Column::new("action", 17),
    Column::rest("what"),
    Column::new("who", 12),
    Column::new("when", 11),
    Column::new("outcome", 7).spare(2),
    Column::new("from", 15).spare(3),
];

/// The page.
#[derive(Debug)]
pub(super) struct Audit {
    list: List,
    state: State,
    entries: Vec<AuditEntry>,
    cursor: Option<String>,
    is_reading_more: bool,
    is_soon: bool,
}

impl Audit {
    /// Without anything read.
    pub(super) fn new() -> Self {
        Self {
            list: List::new(&COLUMNS),
            state: State::default(),
            entries: Vec::new(),
            cursor: None,
            is_reading_more: false,
            is_soon: false,
        }
    }

    fn show(&mut self, cx: &Context<'_>) {
        self.list.set(self.entries.iter().map(|entry| row(entry, cx)).collect());
    }

    fn first_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(page) = self.state.take::<Items<AuditEntry>>(cx.now, answered) else { return };
        let oldest = page.items.last().map_or(i64::MAX, |entry| entry.seq);
        // What was read before goes on below, where nothing is missing between.
        let has_gap = self.entries.first().is_none_or(|newest| newest.seq < oldest);
        if has_gap || page.cursor.is_none() {
            self.entries = page.items;
            self.cursor = page.cursor;
        } else {
            self.entries.retain(|entry| entry.seq < oldest);
            self.entries.splice(0..0, page.items);
        }
        self.entries.truncate(ENTRIES_MAX);
        self.show(cx);
    }

    fn more_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        self.is_reading_more = false;
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Items<AuditEntry>>()) {
            Ok(page) => {
                let oldest = self.entries.last().map_or(i64::MAX, |entry| entry.seq);
                self.entries.extend(page.items.into_iter().filter(|entry| entry.seq < oldest));
                self.cursor = page.cursor;
                self.show(cx);
            }
            Err(problem) => cx.complain(problem),
        }
    }

    fn verified(answered: &Answered, cx: &mut Context<'_>) {
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<AuditVerdict>()) {
            Ok(verdict) if verdict.intact => {
                let head = verdict.head.map_or_else(|| "none".to_owned(), |head| head.to_string());
                let text = format!(
                    "the audit log is whole: {} entries\n\nhead {head}\n\nWritten down elsewhere, the head proves that nothing was cut off later.",
                    verdict.entries
                );
                cx.read(Reader::new("Audit log", &text).json(serde_json::json!(verdict)));
            }
            Ok(verdict) => {
                let place = verdict.broken_at.map(|seq| format!(" at entry {seq}")).unwrap_or_default();
                let reason = verdict.reason.clone().unwrap_or_else(|| "it is not what was written".to_owned());
                let lines = [
                    (Ink::Bad, format!("the audit log is BROKEN{place}: {reason}")),
                    (Ink::Plain, "somebody wrote to the database past the appliance; compare with a backup".to_owned()),
                ];
                let lines = lines.into_iter().map(|line| vec![line]).collect();
                cx.read(Reader::of("Audit log", lines).json(serde_json::json!(verdict)));
            }
            Err(problem) => cx.complain(problem),
        }
    }
}

fn what(entry: &AuditEntry) -> String {
    match &entry.app {
        Some(app) if entry.target != *app => format!("{app}/{}", entry.target),
        _ => entry.target.clone(),
    }
}

fn row(entry: &AuditEntry, cx: &Context<'_>) -> Row {
    let outcome = match entry.outcome {
        AuditOutcome::Done => "done".into(),
        AuditOutcome::Refused => inked(Ink::Bad, "REFUSED"),
    };
    let action = match entry.outcome {
        AuditOutcome::Done => entry.action.clone().into(),
        AuditOutcome::Refused => inked(Ink::Bad, format!("!{}", entry.action)),
    };
    let cells = vec![
        action,
        what(entry).into(),
        entry.who.name.clone().into(),
        text::moment(cx.now.unix_ms, entry.at, &cx.facts.zone).into(),
        outcome,
        entry.from.clone().into(),
    ];
    Row::new(entry.seq.to_string(), cells)
}

/// What it was before and after, as a difference.
fn reader(entry: &AuditEntry, cx: &Context<'_>) -> Reader {
    let at = jiff::Timestamp::from_millisecond(entry.at).map(|at| at.to_zoned(cx.facts.zone.clone()));
    let at = at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default();
    let who = format!("{} {} from {}", entry.who.kind.as_str(), entry.who.name, entry.from);
    let mut lines = vec![
        vec![(Ink::Plain, format!("{at}  {who}"))],
        vec![(Ink::Plain, format!("{} {}: {}", entry.action, what(entry), entry.outcome.as_str()))],
        Vec::new(),
    ];
    let text =
        |value: &Option<Value>| value.as_ref().map(|value| json::set_out(&value.to_string())).unwrap_or_default();
    let (before, after) = (text(&entry.before), text(&entry.after));
    for change in TextDiff::from_lines(&before, &after).iter_all_changes() {
        let (sign, ink) = match change.tag() {
            ChangeTag::Insert => ("+ ", Ink::Added),
            ChangeTag::Delete => ("- ", Ink::Removed),
            ChangeTag::Equal => ("  ", Ink::Plain),
        };
        lines.push(vec![(ink, format!("{sign}{}", change.value().trim_end_matches('\n')))]);
    }
    Reader::of(format!("Audit entry {}", entry.seq), lines).json(serde_json::json!(entry))
}

impl Page for Audit {
    fn name(&self) -> &'static str {
        AUDIT
    }

    fn list(&self) -> &List {
        &self.list
    }

    fn list_mut(&mut self) -> &mut List {
        &mut self.list
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn nothing(&self) -> &'static str {
        "nothing was changed yet"
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.state.begin();
        cx.load(AUDIT, ApiPath::new(&["audit"]).query("limit", Some(PAGE)));
    }

    fn left(&mut self) {
        self.is_reading_more = false;
        self.is_soon = false;
    }

    fn came(&mut self, slot: &Slot, answered: &Answered, cx: &mut Context<'_>) -> bool {
        match slot.name {
            AUDIT => self.first_came(answered, cx),
            MORE => self.more_came(answered, cx),
            VERIFY => Self::verified(answered, cx),
            _ => return false,
        }
        true
    }

    fn due(&mut self, slot: &Slot, cx: &mut Context<'_>) -> bool {
        if slot.name != SOON {
            return false;
        }
        self.is_soon = false;
        self.load(cx);
        true
    }

    fn watched(&mut self, _entry: &AuditEntry, cx: &mut Context<'_>) {
        // Any change is an entry.
        if !std::mem::replace(&mut self.is_soon, true) {
            cx.later(SOON, SOON_MS);
        }
    }

    fn moved(&mut self, cx: &mut Context<'_>) {
        if self.is_reading_more || self.entries.len() >= ENTRIES_MAX || !self.list.is_near_end(NEAR_LINES) {
            return;
        }
        if let Some(cursor) = &self.cursor {
            self.is_reading_more = true;
            cx.load(MORE, ApiPath::new(&["audit"]).query("limit", Some(PAGE)).query("cursor", Some(cursor)));
        }
    }

    fn offers(&self) -> Vec<Offer> {
        vec![
            Offer::new(Action::Open, "before and after").unless(none_selected(&self.list)),
            Offer::new(Action::Test, "verify"),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let seq = self.list.selected_id();
        let selected = self.entries.iter().find(|entry| Some(entry.seq.to_string().as_str()) == seq);
        match (action, selected) {
            (Action::Open | Action::Info | Action::Versions, Some(entry)) => cx.read(reader(entry, cx)),
            (Action::Test, _) => {
                cx.load(VERIFY, ApiPath::new(&["audit", "verify"]));
                cx.say("checking every entry");
            }
            _ => return false,
        }
        true
    }
}
