//! What keys do: the layer on top first, then a text that is being typed, then the table.

use super::layers::menu::Menu;
use super::layers::palette::{Command, Palette};
use super::layers::prompt::Prompt;
use super::layers::{Layer, Said};
use super::{App, Effect, Key, Offer, Request};
use crate::keymap::{Action, action_of, binding_of};
use crate::theme::Ink;
use crate::widgets::reader::Reader;

impl App {
    /// Keys that came in one read. Those behind one that opened a question were typed before it could be read.
    pub(super) fn keys(&mut self, keys: &[Key], effects: &mut Vec<Effect>) {
        for key in keys {
            let questions = self.questions();
            self.key(*key, effects);
            if self.questions() > questions {
                break;
            }
        }
    }

    fn questions(&self) -> usize {
        self.layers.iter().filter(|layer| matches!(layer, Layer::Question(_))).count()
    }

    fn key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        if self.is_too_small() {
            // What keys would do cannot be seen: only the way out is left.
            if key == Key::Char('q') {
                self.quit(effects);
            }
            return;
        }
        self.messages.seen();
        if key == Key::Ctrl('z') || key == Key::Ctrl('l') {
            return self.act(if key == Key::Ctrl('z') { Action::Suspend } else { Action::Repaint }, effects);
        }
        self.was_ending = std::mem::replace(&mut self.is_ending, key == Key::Ctrl('c'));
        if self.was_ending && key == Key::Ctrl('c') {
            return self.quit(effects);
        }
        if !self.layers.is_empty() {
            return self.layer_key(key, effects);
        }
        let screen = self.screens.get(self.at);
        if screen.is_typing() && key != Key::F1 {
            let key = if key == Key::Ctrl('c') { Key::Esc } else { key };
            return self.tell(Some(self.at), effects, |screen, cx| screen.typed(key, cx));
        }
        match action_of(key) {
            Some(action) => self.act(action, effects),
            None => self.say(format!("{key} does nothing here: ? shows the keys"), effects),
        }
    }

    /// Text was pasted: only what takes text gets it; it never runs as keys.
    pub(super) fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        if self.is_too_small() {
            return;
        }
        if let Some(layer) = self.layers.last_mut() {
            let said = layer.pasted(text);
            return self.said(said, effects);
        }
        if self.screens.get(self.at).is_typing() {
            return self.tell(Some(self.at), effects, |screen, cx| screen.pasted(text, cx));
        }
        self.say("pasted text goes into fields only: nothing was done".to_owned(), effects);
    }

    fn layer_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let now_ms = self.now.mono_ms;
        let Some(layer) = self.layers.last_mut() else { return };
        let said = layer.typed(key, now_ms);
        self.said(said, effects);
    }

    pub(super) fn said(&mut self, said: Said, effects: &mut Vec<Effect>) {
        match said {
            Said::Stay => {}
            Said::Close => {
                if let Some(Layer::Question(_)) = self.layers.pop() {
                    self.say("kept: nothing was changed".to_owned(), effects);
                }
            }
            Said::Confirmed(changes) => {
                if let Some(Layer::Question(question)) = self.layers.pop() {
                    self.make(question.screen, changes, effects);
                }
            }
            Said::Submitted(values) => {
                if let Some(Layer::Form { screen, name, form, .. }) = self.layers.last_mut() {
                    form.refused = None;
                    let (screen, name) = (*screen, *name);
                    self.tell(Some(screen), effects, |screen, cx| screen.submitted(name, &values, cx));
                    self.close_form_that_waits_for_nothing();
                }
            }
            Said::Picked(id) => {
                if let Some(Layer::Picker { screen, name, .. }) = self.layers.pop() {
                    self.tell(Some(screen), effects, |screen, cx| screen.picked(name, &id, cx));
                }
            }
            Said::Act(action) => {
                self.close_layer();
                self.act(action, effects);
            }
            Said::Go(place) => {
                self.close_layer();
                self.go(&place, effects);
            }
            Said::Command(command) => {
                self.close_layer();
                self.command(&command, effects);
            }
            Said::Filter(text, closes) => {
                if closes {
                    self.layers.pop();
                }
                self.tell(Some(self.at), effects, |screen, cx| screen.filter(&text, cx));
            }
            Said::Copy(what, text) => self.copy(what, text, effects),
            Said::Told(text) => self.say(text, effects),
        }
    }

    /// The menu or palette on top led somewhere.
    fn close_layer(&mut self) {
        if let Some(Layer::Palette(palette)) = self.layers.pop() {
            self.history.keep(palette.typed_text());
        }
    }

    /// Puts text on the clipboard, and says so without claiming that it arrived.
    fn copy(&mut self, what: &str, text: String, effects: &mut Vec<Effect>) {
        self.say(super::context::copied(what, text.len()), effects);
        effects.push(Effect::Copy { text });
    }

    /// A form whose values led to no change, and to nothing on top of it, is done with.
    fn close_form_that_waits_for_nothing(&mut self) {
        if let Some(Layer::Form { pending: None, form, .. }) = self.layers.last()
            && form.refused.is_none()
        {
            self.layers.pop();
        }
    }

    /// Does what a key of the table means.
    pub(super) fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        match action {
            Action::Go(screen) => self.go(&super::Place::of(screen), effects),
            Action::LastScreen => self.back(effects),
            Action::Palette => self.open_palette(effects),
            Action::Filter => {
                let prompt = Prompt::new(self.screens.get(self.at).filter_text());
                self.layers.push(Layer::Prompt(prompt));
            }
            Action::Help => self.layers.push(Layer::Menu(Menu::of_keys(self.at.name(), self.offers()))),
            Action::Offers => self.layers.push(Layer::Menu(Menu::of_offers(self.at.name(), self.offers()))),
            // A text that is being written has a last change of its own.
            Action::Undo if !self.offers().iter().any(|offer| offer.action == Action::Undo) => self.undo(effects),
            Action::Quit => self.quit_or_close(effects),
            Action::Cancel => self.say("Ctrl-C again quits, q too".to_owned(), effects),
            Action::Suspend if self.facts.caps.is_login_shell => {
                self.say("this is the login shell: there is nothing to go back to".to_owned(), effects);
            }
            Action::Suspend => effects.push(Effect::Suspend),
            Action::Repaint => effects.push(Effect::Repaint),
            Action::Zoom => self.is_zoomed = !self.is_zoomed,
            Action::Reload => self.tell(Some(self.at), effects, |screen, cx| screen.reload(cx)),
            other => self.act_on_screen(other, effects),
        }
    }

    fn act_on_screen(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let offers = self.screens.get(self.at).offers();
        if let Some(why) = offers.iter().find(|offer| offer.action == action).and_then(|offer| offer.refused.clone()) {
            return self.say(format!("{}: {why}", binding_of(action).word), effects);
        }
        // Esc: frames come back, then the filter goes, then (by the screen) marks and levels, then one is back.
        if action == Action::Back && self.is_zoomed {
            self.is_zoomed = false;
            return;
        }
        if action == Action::Back && !self.screens.get(self.at).filter_text().is_empty() {
            return self.tell(Some(self.at), effects, |screen, cx| screen.filter("", cx));
        }
        let mut is_taken = false;
        self.tell(Some(self.at), effects, |screen, cx| is_taken = screen.act(action, cx));
        match action {
            _ if is_taken => {}
            Action::Back => self.back(effects),
            other => self.say(format!("{}: not on this, ? shows the keys", binding_of(other).word), effects),
        }
    }

    /// What can be done now.
    pub(super) fn offers(&self) -> Vec<Offer> {
        self.screens.get(self.at).offers()
    }

    fn open_palette(&mut self, effects: &mut Vec<Effect>) {
        let wanted = self.names.wanted(&self.facts);
        let palette = Palette::open(&self.facts, (self.at, &self.offers()), self.history.clone(), &self.names);
        self.layers.push(Layer::Palette(palette));
        for (slot, path) in wanted {
            self.load(super::Owner { screen: None, slot }, Request::get(path), effects);
        }
    }

    fn command(&mut self, command: &Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Messages => self.layers.push(Layer::Reader(self.said_before())),
            Command::Log => self.layers.push(Layer::Reader(self.calls.reader(&self.facts.zone))),
            Command::Drafts => self.layers.push(Layer::Reader(self.drafts_kept())),
            Command::Theme(theme) => self.keep_theme(theme.name(), effects),
            Command::Mouse(is_on) => self.keep_mouse(*is_on, effects),
            Command::Print => effects.push(Effect::Print { text: self.text() }),
            Command::Quit => self.quit(effects),
        }
    }

    /// All drafts: those of screens, and those that were written down before.
    fn drafts_kept(&self) -> Reader {
        let mut drafts = self.facts.drafts.clone();
        drafts.extend(self.drafts());
        let mut lines = Vec::new();
        for (id, text) in drafts {
            lines.push(vec![(Ink::Strong, id)]);
            lines.extend(text.lines().map(|line| vec![(Ink::Plain, format!("  {line}"))]));
            lines.push(Vec::new());
        }
        if lines.is_empty() {
            lines.push(vec![(Ink::Plain, "no draft is kept: everything that was typed is saved".to_owned())]);
        }
        Reader::of("Drafts", lines)
    }

    fn said_before(&self) -> Reader {
        let zone = &self.facts.zone;
        let line = |message: &super::messages::Message| {
            let at = crate::widgets::text::time_of_day(message.at_unix_ms, zone);
            let ink = if message.is_problem { Ink::Bad } else { Ink::Plain };
            vec![(Ink::Faint, format!("{at}  ")), (ink, message.text.clone())]
        };
        Reader::of("Messages", self.messages.all().map(line).collect())
    }

    /// `q`: a zoomed pane first; then the program, unless drafts would be left.
    fn quit_or_close(&mut self, effects: &mut Vec<Effect>) {
        if self.is_zoomed {
            self.is_zoomed = false;
            return;
        }
        let drafts = self.drafts().len();
        if drafts > 0 && !self.was_ending {
            self.is_ending = true;
            let are = if drafts == 1 { "draft is" } else { "drafts are" };
            return self.say(format!("{drafts} {are} not saved, but kept: q again quits"), effects);
        }
        self.quit(effects);
    }

    fn quit(&mut self, effects: &mut Vec<Effect>) {
        for (id, text) in self.drafts() {
            effects.push(Effect::KeepDraft { id, text });
        }
        effects.push(Effect::Quit);
    }

    /// Which screen is shown.
    #[cfg(test)]
    pub(crate) fn at(&self) -> super::ScreenId {
        self.at
    }
}
