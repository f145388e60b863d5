//! What a screen wished for while it was told something: carried out here.

use super::calls::CallId;
use super::context::Wish;
use super::layers::Layer;
use super::layers::question::Question;
use super::{App, Change, Context, Effect, MESSAGE, Owner, Request, Screen, ScreenId, shell};
use crate::path::ApiPath;
use crate::theme::ThemeName;
use crate::widgets::form::Form;

/// Wishes may lead to another screen being told; so often at most within one message.
const TOLD_MAX: usize = 8;

impl App {
    /// Tells a screen something, and does what it wishes then. The shell itself is not told anything.
    pub(super) fn tell(
        &mut self,
        screen: Option<ScreenId>,
        effects: &mut Vec<Effect>,
        tell: impl FnOnce(&mut dyn Screen, &mut Context<'_>),
    ) {
        let Some(screen) = screen else { return };
        let mut cx = Context::new(screen, self.now, &self.facts);
        tell(self.screens.get_mut(screen), &mut cx);
        let wishes = cx.into_wishes();
        self.carry_out(screen, wishes, effects, TOLD_MAX);
    }

    fn carry_out(&mut self, screen: ScreenId, wishes: Vec<Wish>, effects: &mut Vec<Effect>, told_left: usize) {
        for wish in wishes {
            match wish {
                Wish::Effect(Effect::KeepDraft { id, text }) => self.keep_draft(id, text, effects),
                Wish::Effect(Effect::KeepSetting { name: "theme", value }) => self.keep_theme(&value, effects),
                Wish::Effect(effect) => {
                    // What is cancelled is not under way any more.
                    if let Effect::Stop { owner } = &effect
                        && self.link.busy.as_ref().is_some_and(|busy| busy.starts_with(owner.slot.name))
                    {
                        self.link.busy = None;
                    }
                    effects.push(effect);
                }
                Wish::Load(slot, request) => self.load(Owner { screen: Some(screen), slot }, request, effects),
                Wish::Follow(slot, path) => self.follow(Owner { screen: Some(screen), slot }, path, effects),
                Wish::Change(changes) => self.change(screen, changes, effects),
                Wish::Form(name, form) => self.open_form(screen, name, form),
                Wish::Pick(name, picker) => self.layers.push(Layer::Picker { screen, name, picker }),
                Wish::Read(reader) => self.layers.push(Layer::Reader(reader)),
                Wish::Say(text) => self.say(text, effects),
                Wish::Complain(problem) => self.messages.complain(self.now, &problem),
                Wish::Go(place) if told_left > 0 => self.go(&place, effects),
                Wish::Go(_) => {}
                Wish::Refuse(why) => self.refuse_form(screen, why),
            }
        }
    }

    /// The form that is open says why; all that was typed stays.
    fn refuse_form(&mut self, of: ScreenId, why: String) {
        let is_its = |layer: &&mut Layer| matches!(layer, Layer::Form { screen, .. } if *screen == of);
        if let Some(Layer::Form { form, .. }) = self.layers.iter_mut().rev().find(is_its) {
            form.refused = Some(why);
        }
    }

    /// Opens a form; one of the same name that this one comes of (with other fields, say) makes way for it.
    fn open_form(&mut self, screen: ScreenId, name: &'static str, form: Form) {
        let is_same = |layer: &Layer| matches!(layer, Layer::Form { screen: of, name: named, pending: None, .. } if *of == screen && *named == name);
        if self.layers.last().is_some_and(is_same) {
            self.layers.pop();
        }
        self.layers.push(Layer::Form { screen, name, form, pending: None });
    }

    /// Other colours, from now on and the next time.
    pub(super) fn keep_theme(&mut self, value: &str, effects: &mut Vec<Effect>) {
        if let Some(theme) = ThemeName::parse(value) {
            self.facts.theme = theme;
        }
        effects.push(Effect::KeepSetting { name: "theme", value: value.to_owned() });
    }

    /// Clicks from now on and the next time, or none.
    pub(super) fn keep_mouse(&mut self, is_on: bool, effects: &mut Vec<Effect>) {
        if is_on && !self.facts.caps.points {
            return self.say("this terminal does not tell of clicks".to_owned(), effects);
        }
        let (value, told) = match is_on {
            true => ("on", "clicks go here: a second one opens, Shift selects text as before"),
            false => ("off", "the terminal has the mouse again"),
        };
        effects.push(Effect::Point(is_on));
        effects.push(Effect::KeepSetting { name: "mouse", value: value.to_owned() });
        self.say(told.to_owned(), effects);
    }

    fn keep_draft(&mut self, id: String, text: String, effects: &mut Vec<Effect>) {
        if text.is_empty() {
            self.facts.drafts.remove(&id);
        } else {
            self.facts.drafts.insert(id.clone(), text.clone());
        }
        effects.push(Effect::KeepDraft { id, text });
    }

    /// Reads; what the owner was reading before is of no use any more.
    pub(super) fn load(&mut self, owner: Owner, request: Request, effects: &mut Vec<Effect>) {
        let generation = self.generation(&owner);
        self.calls.begin(self.now, CallId::Read(owner.clone(), generation), &request);
        effects.push(Effect::Load { owner, generation, request });
    }

    /// Follows events.
    pub(super) fn follow(&mut self, owner: Owner, path: ApiPath, effects: &mut Vec<Effect>) {
        let generation = self.generation(&owner);
        effects.push(Effect::Follow { owner, generation, path });
    }

    fn generation(&mut self, owner: &Owner) -> u64 {
        self.newest_generation += 1;
        self.generations.insert(owner.clone(), self.newest_generation);
        self.newest_generation
    }

    /// Makes changes, after their question.
    pub(super) fn change(&mut self, screen: ScreenId, changes: Vec<Change>, effects: &mut Vec<Effect>) {
        if changes.is_empty() {
            return;
        }
        if self.facts.is_read_only {
            return self.say("this is a read-only session: nothing was changed".to_owned(), effects);
        }
        match Question::before(screen, changes) {
            Ok(question) => self.layers.push(Layer::Question(question)),
            Err(harmless) => self.make(screen, harmless, effects),
        }
    }

    /// Makes changes that were answered for, or need no answer.
    pub(super) fn make(&mut self, screen: ScreenId, changes: Vec<Change>, effects: &mut Vec<Effect>) {
        self.writes.begin_step();
        for change in changes {
            let request = change.request.clone();
            let id = self.writes.begin(screen, change);
            self.calls.begin(self.now, CallId::Write(id), &request);
            // The form whose change this is stays open until it is made.
            if let Some(Layer::Form { pending, screen: of, .. }) = self.layers.last_mut()
                && *of == screen
            {
                *pending = Some(id);
            }
            effects.push(Effect::Write { id, request });
        }
    }

    /// Says a word, which goes away by itself.
    pub(super) fn say(&mut self, text: String, effects: &mut Vec<Effect>) {
        let after_ms = self.messages.say(self.now, text);
        effects.push(Effect::Later { owner: shell(MESSAGE), after_ms });
    }
}
