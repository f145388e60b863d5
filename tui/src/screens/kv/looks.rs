//! How the screen is divided, and what stands in its title.

use super::Kv;
use super::edit::draft_id;
use super::lines::Target;
use super::value::Value;
use crate::theme::Look;
use crate::widgets::split::Split;
use crate::widgets::state;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

impl Kv {
    /// Whether the value is what one is busy with.
    pub(super) fn shows_value(&self) -> bool {
        self.is_reading || self.edit.is_some()
    }

    /// Draws both panes.
    pub(super) fn draw(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if area.is_empty() {
            return;
        }
        if !self.has_apps() {
            return self.draw_tree(look, area, buf);
        }
        let split = Split::of(area, self.shows_value());
        self.draw_tree(look, split.list, buf);
        split.view_edge(look, buf);
        self.draw_thing(look, split.thing, buf);
    }

    /// Draws the pane that one is busy with alone.
    pub(super) fn draw_pane(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if self.shows_value() && self.has_apps() {
            self.draw_thing(look, area, buf);
        } else {
            self.draw_tree(look, area, buf);
        }
    }

    fn has_apps(&self) -> bool {
        self.shelf.apps.as_ref().is_some_and(|apps| !apps.is_empty())
    }

    fn draw_tree(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if self.has_apps() {
            self.tree.view(look, area, buf, &self.shelf, &self.drafts, !self.shows_value());
        } else {
            self.apps.view(look, area, buf, "no apps yet: press 3, then n makes one");
        }
    }

    fn draw_thing(&self, look: &Look, value: Rect, buf: &mut Buffer) {
        if value.is_empty() {
            return;
        }
        match &self.edit {
            Some(edit) => edit.view(look, value, buf),
            None => self.draw_value(look, value, buf),
        }
    }

    fn draw_value(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        if let (Value::Loading(_), Some(shadow)) = (&self.value, &self.shadow) {
            return shadow.view(look, area, buf, false, false);
        }
        if let Some(target) = self.value.target() {
            let has_draft = draft_id(target).is_some_and(|id| self.drafts.contains(&id));
            return self.value.view(look, area, buf, has_draft, self.is_reading);
        }
        let sentence = match self.tree.selected() {
            Some(Target::App(_) | Target::Collection(..) | Target::Prefix(..)) => {
                "Enter opens or closes; n stores a new value"
            }
            Some(Target::Rest(..)) => "go down: more keys are read as you come near",
            _ => return,
        };
        state::say(look, area, buf, sentence);
    }

    /// `› blog › posts › by-tag/  1000 of 100000 keys  3 marked  keys of 12:04:31`
    pub(super) fn title_text(&self, look: &Look) -> String {
        let then = look.signs().then;
        let mut title = String::new();
        let Some(target) = self.tree.selected() else { return title };
        title += &format!(" {then} {}", target.app());
        if let Some((app, name)) = target.collection() {
            title += &format!(" {then} {name}");
            match target {
                Target::Prefix(_, _, prefix) => title += &format!(" {then} {prefix}"),
                Target::Key(_, _, key) => {
                    title += &key.rfind('/').map_or_else(String::new, |at| format!(" {then} {}", &key[..=at]))
                }
                _ => {}
            }
            if let Some(known) = self.shelf.collection(app, name).filter(|known| !known.read_at.is_empty()) {
                let read = known.entries.len();
                let keys = if known.is_whole {
                    format!("{read} keys")
                } else {
                    format!("{read} of {} keys", known.counted.keys)
                };
                // Scripts store without anybody being told: how old this is, is for the person to judge.
                let outdated = if known.is_outdated { ", changed since: r" } else { "" };
                title += &format!("  {keys}, read {}{outdated}", known.read_at);
            }
        }
        if self.tree.marked() > 0 {
            title += &format!("  {} marked", self.tree.marked());
        }
        title
    }
}
