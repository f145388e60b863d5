//! What a screen may want: collected while it handles a message, and carried out by the shell afterwards.

use super::change::Change;
use super::effect::{Effect, KeysFrom, Owner};
use super::msg::Now;
use super::request::Request;
use super::{Facts, Place, ScreenId, Slot};
use crate::path::ApiPath;
use crate::widgets::form::Form;
use crate::widgets::picker::Picker;
use crate::widgets::reader::Reader;
use picloud_model::problem::Problem;

/// What a screen wants.
#[derive(Debug)]
pub(crate) enum Wish {
    /// To be done outside, as it is.
    Effect(Effect),
    /// A load in a slot; the shell numbers it.
    Load(Slot, Request),
    /// A stream in a slot; the shell numbers it.
    Follow(Slot, ApiPath),
    /// Changes, after one question for all where they need one.
    Change(Vec<Change>),
    /// A form over the screen.
    Form(&'static str, Form),
    /// A list to choose from, over the screen.
    Pick(&'static str, Picker),
    /// A long text over the screen.
    Read(Reader),
    /// A word on the message line.
    Say(String),
    /// A problem on the message line, kept in `:messages`.
    Complain(Problem),
    /// Another place.
    Go(Place),
    /// The form of this screen stays open and says why it was not sent.
    Refuse(String),
}

/// Handed to a screen with each message.
pub(crate) struct Context<'a> {
    /// The time.
    pub(crate) now: Now,
    /// What is known of appliance, terminal and person.
    pub(crate) facts: &'a Facts,
    screen: ScreenId,
    wishes: Vec<Wish>,
}

impl<'a> Context<'a> {
    /// For one message to one screen.
    pub(crate) fn new(screen: ScreenId, now: Now, facts: &'a Facts) -> Self {
        Self { now, facts, screen, wishes: Vec::new() }
    }

    /// What was wished for, in order.
    pub(crate) fn into_wishes(self) -> Vec<Wish> {
        self.wishes
    }

    fn owner(&self, slot: impl Into<Slot>) -> Owner {
        Owner { screen: Some(self.screen), slot: slot.into() }
    }

    /// Reads; `loaded` is called with the answer, unless something else is loaded in the slot meanwhile.
    pub(crate) fn load(&mut self, slot: impl Into<Slot>, path: ApiPath) {
        self.load_with(slot, Request::get(path));
    }

    /// The same with any request that changes nothing: a test run, a preview, a check.
    pub(crate) fn load_with(&mut self, slot: impl Into<Slot>, request: Request) {
        self.wishes.push(Wish::Load(slot.into(), request));
    }

    /// Follows server-sent events until the screen is left or [`Self::stop`].
    pub(crate) fn follow(&mut self, slot: impl Into<Slot>, path: ApiPath) {
        self.wishes.push(Wish::Follow(slot.into(), path));
    }

    /// Ends a load, a stream or a transfer.
    pub(crate) fn stop(&mut self, slot: impl Into<Slot>) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::Stop { owner }));
    }

    /// Changes something, after its question.
    pub(crate) fn change(&mut self, change: Change) {
        self.wishes.push(Wish::Change(vec![change]));
    }

    /// Changes several things one after the other, with one question for all: the first change's danger is asked.
    /// `changed` is called for each.
    pub(crate) fn changes(&mut self, changes: Vec<Change>) {
        self.wishes.push(Wish::Change(changes));
    }

    /// Opens a form; `submitted` is called with what was filled in.
    pub(crate) fn form(&mut self, name: &'static str, form: Form) {
        self.wishes.push(Wish::Form(name, form));
    }

    /// In `submitted`: the form stays open with all that was typed, and says why nothing was sent.
    pub(crate) fn refuse(&mut self, why: impl Into<String>) {
        self.wishes.push(Wish::Refuse(why.into()));
    }

    /// Opens a list to choose from; `picked` is called with the id.
    pub(crate) fn pick(&mut self, name: &'static str, picker: Picker) {
        self.wishes.push(Wish::Pick(name, picker));
    }

    /// Shows a long text: info, a difference, a letter.
    pub(crate) fn read(&mut self, reader: Reader) {
        self.wishes.push(Wish::Read(reader));
    }

    /// Says a word on the message line.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.wishes.push(Wish::Say(text.into()));
    }

    /// Shows a problem.
    pub(crate) fn complain(&mut self, problem: Problem) {
        self.wishes.push(Wish::Complain(problem));
    }

    /// Goes elsewhere; `-` and Esc come back.
    pub(crate) fn go(&mut self, place: Place) {
        self.wishes.push(Wish::Go(place));
    }

    /// Calls `due` after so many milliseconds, unless it is asked for again before.
    pub(crate) fn later(&mut self, slot: impl Into<Slot>, after_ms: u64) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::Later { owner, after_ms }));
    }

    /// Puts text on the clipboard of whoever looks, and says so without claiming it.
    pub(crate) fn copy(&mut self, what: &str, text: impl Into<String>) {
        let text = text.into();
        let bytes = text.len();
        self.wishes.push(Wish::Effect(Effect::Copy { text }));
        self.say(copied(what, bytes));
    }

    /// Opens `$EDITOR`; `edited` is called with the text.
    pub(crate) fn edit_outside(&mut self, slot: impl Into<Slot>, name: &str, text: String, line: Option<usize>) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::EditOutside { owner, name: name.to_owned(), text, line }));
    }

    /// Saves what the appliance answers in a file of this machine; `transferred` is called at its end.
    pub(crate) fn download(&mut self, slot: impl Into<Slot>, path: ApiPath, to: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::Download { owner, path, to }));
    }

    /// Saves text in a file of this machine, never over one that is there; `transferred` is called at its end.
    pub(crate) fn save_text(&mut self, slot: impl Into<Slot>, text: String, to: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::SaveText { owner, text, to }));
    }

    /// Writes keys and values to a file of this machine; `transferred` is called at its end.
    pub(crate) fn export_keys(&mut self, slot: impl Into<Slot>, from: KeysFrom, to: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::ExportKeys { owner, from, to }));
    }

    /// Saves what a request that is no plain reading is answered with in a file of this machine.
    pub(crate) fn receive(&mut self, slot: impl Into<Slot>, request: Request, to: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::Receive { owner, request, to }));
    }

    /// Reads an app folder of this machine; `transferred` is called with its bundle as JSON.
    pub(crate) fn read_folder(&mut self, slot: impl Into<Slot>, folder: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::ReadFolder { owner, folder }));
    }

    /// Makes a folder of this machine the app folder of a bundle; `transferred` is called at its end.
    pub(crate) fn write_folder(&mut self, slot: impl Into<Slot>, folder: String, bundle: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::WriteFolder { owner, folder, bundle }));
    }

    /// Sends a file of this machine; `transferred` is called at its end.
    pub(crate) fn upload(&mut self, slot: impl Into<Slot>, request: Request, from: String) {
        let owner = self.owner(slot);
        self.wishes.push(Wish::Effect(Effect::Upload { owner, request, from }));
    }

    /// Writes a draft down, so that it survives the line and the plug; an empty text removes it.
    pub(crate) fn keep_draft(&mut self, id: impl Into<String>, text: impl Into<String>) {
        self.wishes.push(Wish::Effect(Effect::KeepDraft { id: id.into(), text: text.into() }));
    }

    /// Writes a setting of the person down: `theme`.
    pub(crate) fn keep_setting(&mut self, name: &'static str, value: impl Into<String>) {
        self.wishes.push(Wish::Effect(Effect::KeepSetting { name, value: value.into() }));
    }
}

/// What is said when text was sent to the clipboard: nobody knows whether it arrived.
pub(super) fn copied(what: &str, bytes: usize) -> String {
    format!("sent {what} ({bytes} B) to the terminal's clipboard; if it did not arrive: z")
}
