//! Writing: keys go into the text, which is checked and written down while one writes; and the way through `$EDITOR`.

use super::desk::{CHECK, Checked};
use super::{DRAFTS_MAX, Focus, Scripts};
use crate::app::{Context, Key, Request, Slot};
use crate::widgets::editor::TEXT_BYTES_MAX;
use crate::widgets::text;
use picloud_model::script::ScriptInput;

/// `$EDITOR` on the text.
pub(super) const OUTSIDE: &str = "outside";
/// `$EDITOR` on both texts, where somebody else saved meanwhile.
pub(super) const BOTH: &str = "both";

impl Scripts {
    /// Keys are text from now on.
    pub(super) fn begin_typing(&mut self, cx: &mut Context<'_>) {
        self.open_selected(cx);
        let (parked, Some(desk)) = (self.parked.len(), &mut self.desk) else { return };
        if parked >= DRAFTS_MAX {
            return cx.say(format!("{parked} drafts are not saved: save some, or throw them away"));
        }
        if desk.live.is_none() && !desk.is_changed() {
            return cx.say("it is still being read");
        }
        desk.is_typing = true;
        self.focus = Focus::Source;
    }

    /// A key while typing.
    pub(super) fn typed_now(&mut self, key: Key, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        let before = desk.editor.revision();
        if !desk.editor.typed(key) {
            match key {
                Key::Esc => self.stop_typing(cx),
                Key::BackTab => {
                    self.stop_typing(cx);
                    self.focus = Focus::Tree;
                }
                _ => cx.say(format!("{key} does nothing while typing: Esc, then ? shows the keys")),
            }
            return;
        }
        self.after_edit(before, cx);
    }

    /// Text was pasted while typing.
    pub(super) fn pasted_now(&mut self, pasted: &str, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        let before = desk.editor.revision();
        desk.editor.insert(pasted);
        self.after_edit(before, cx);
    }

    fn after_edit(&mut self, before: u64, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        if desk.editor.is_full() {
            let most = text::bytes(u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX));
            cx.say(format!("not taken: a source has at most {most}"));
        }
        if desk.editor.revision() != before {
            desk.edited(cx);
        }
    }

    /// Keys are keys again; the draft is written down.
    pub(super) fn stop_typing(&mut self, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        desk.is_typing = false;
        desk.keep(cx);
        if desk.is_changed() {
            cx.say(format!("draft of {} is kept, also if the line drops: s saves it", desk.id.name));
        }
    }

    /// Asks the appliance what is wrong with the text.
    pub(super) fn check(&mut self, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.is_changed()) else { return };
        if self.refused.is_some() {
            return;
        }
        if desk.checked == Checked::No {
            desk.checked = Checked::Running;
        }
        let input = ScriptInput { kind: desk.kind(), source: desk.editor.text(), message: None };
        cx.load_with(Slot::of(CHECK, desk.id.to_string()), Request::post(desk.id.path(&["check"]), &input));
    }

    /// Opens the text in `$EDITOR`, at its first error where there is one.
    pub(super) fn edit_outside(&mut self, cx: &mut Context<'_>) {
        self.open_selected(cx);
        let Some(desk) = &mut self.desk else { return };
        if desk.live.is_none() && !desk.is_changed() {
            return cx.say("it is still being read");
        }
        let line = desk.editor.first_error().unwrap_or(desk.editor.place().0);
        let name = format!("{}.rhai", desk.id.name);
        cx.edit_outside(Slot::of(OUTSIDE, desk.id.to_string()), &name, desk.editor.text(), Some(line));
    }

    /// `$EDITOR` ended: what it left is the draft, whether it is right or not.
    pub(super) fn edited_outside(&mut self, slot: &Slot, text: &str, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.id.to_string() == slot.of) else { return };
        if text.len() > TEXT_BYTES_MAX {
            let most = crate::widgets::text::bytes(u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX));
            return cx.say(format!("not taken: a source has at most {most}"));
        }
        if desk.editor.text() == text {
            return cx.say("nothing was changed");
        }
        desk.editor.set_text(text);
        if slot.name == BOTH
            && let Some(theirs) = self.theirs.take()
        {
            desk.rebase(theirs.script.version, cx);
            desk.live = Some(theirs);
        }
        desk.keep(cx);
        self.focus = Focus::Source;
        self.check(cx);
    }
}
