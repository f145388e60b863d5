//! The terminal UI without a terminal: [`App::update`] takes what happened and answers what is to be done,
//! [`App::draw`] draws what is. Neither looks at a clock, a file or a socket.

mod calls;
pub(crate) mod change;
pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod facts;
#[cfg(test)]
mod filled;
pub(crate) mod key;
mod keys;
pub(crate) mod layers;
mod link;
mod messages;
pub(crate) mod msg;
mod names;
pub(crate) mod place;
mod pointing;
pub(crate) mod request;
pub(crate) mod screen;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod view;
mod wishes;
mod writes;

pub(crate) use change::Change;
pub(crate) use context::Context;
pub(crate) use effect::{Effect, KeysFrom, Owner, Slot};
pub(crate) use facts::Facts;
pub(crate) use key::Key;
pub(crate) use msg::{Msg, Now, StreamEvent, StreamState};
pub(crate) use place::Place;
pub(crate) use request::{Answer, Answered, Request};
pub(crate) use screen::{Offer, Screen, ScreenId};

use crate::path::ApiPath;
use crate::screens::Screens;
use crate::theme::Look;
use calls::{CallId, Calls};
use layers::Layer;
use layers::palette::History;
use link::Link;
use messages::Messages;
use names::Names;
use picloud_model::audit::AuditEntry;
use std::collections::{HashMap, HashSet};
use writes::Writes;

/// How many places `-` and Esc go back.
const BEEN_MAX: usize = 32;

/// The stream of changes.
const WATCH: &str = "watch";
/// Who asks.
const YOU: &str = "you";
/// The apps.
const APPS: &str = "apps";
/// The message line's clock.
const MESSAGE: &str = "message";
/// The countdown while nobody answers.
const COUNTDOWN: &str = "countdown";

/// Everything that is shown, and everything that decides what a key does.
pub(crate) struct App {
    /// What is known of terminal, person and appliance.
    pub(crate) facts: Facts,
    now: Now,
    size: (u16, u16),
    screens: Screens,
    at: ScreenId,
    been: Vec<Place>,
    layers: Vec<Layer>,
    /// The newest load or stream of each owner; answers to older ones are passed over.
    generations: HashMap<Owner, u64>,
    newest_generation: u64,
    entered: HashSet<ScreenId>,
    /// Screens whose things changed while they were not shown.
    stale: HashSet<ScreenId>,
    writes: Writes,
    messages: Messages,
    link: Link,
    calls: Calls,
    names: Names,
    /// What was typed in the palette before.
    history: History,
    is_zoomed: bool,
    /// Whether the last key asked to end, and whether the one before it did.
    is_ending: bool,
    was_ending: bool,
    is_dirty: bool,
    /// The frame that is drawn next; the one before is shown.
    frame: u64,
    /// Where something was clicked last, and when.
    last_click: Option<((u16, u16), u64)>,
}

impl App {
    /// At the Home screen, of a terminal of this size, knowing nothing yet.
    pub(crate) fn new(facts: Facts, size: (u16, u16)) -> Self {
        Self {
            facts,
            now: Now::default(),
            size,
            screens: Screens::new(),
            at: ScreenId::Home,
            been: Vec::new(),
            layers: Vec::new(),
            generations: HashMap::new(),
            newest_generation: 0,
            entered: HashSet::new(),
            stale: HashSet::new(),
            writes: Writes::default(),
            messages: Messages::default(),
            link: Link::default(),
            calls: Calls::default(),
            names: Names::default(),
            history: History::default(),
            is_zoomed: false,
            is_ending: false,
            was_ending: false,
            is_dirty: true,
            frame: 0,
            last_click: None,
        }
    }

    /// Takes what happened; answers what is to be done.
    pub(crate) fn update(&mut self, now: Now, msg: Msg) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        // A message that nothing on the screen shows needs no frame; one that was due before it still comes.
        let was_dirty = self.is_dirty && !matches!(msg, Msg::Drawn);
        self.is_dirty = true;
        match msg {
            Msg::Start => self.start(&mut effects),
            Msg::Keys(keys) => self.keys(&keys, &mut effects),
            Msg::Paste(text) => self.paste(&text, &mut effects),
            Msg::Click(column, line) => self.clicked((column, line), &mut effects),
            Msg::Resize { width, height } => self.size = (width, height),
            Msg::Drawn => self.drawn(),
            Msg::Loaded { owner, generation, answered } => self.loaded(&owner, generation, answered, &mut effects),
            Msg::Wrote { id, answered } => self.wrote(id, answered, &mut effects),
            Msg::Streamed { owner, generation, events } => self.streamed(&owner, generation, &events, &mut effects),
            Msg::StreamState { owner, generation, state } => {
                self.stream_state(&owner, generation, &state, &mut effects);
            }
            Msg::Due { owner } => self.due(&owner, &mut effects),
            Msg::Edited { owner, text } => self.edited(&owner, text, &mut effects),
            Msg::Transferring { owner, bytes, of } => self.transferring(&owner, bytes, of),
            Msg::Transferred { owner, answered } => {
                self.link.busy = None;
                if let Err(problem) = &answered {
                    self.messages.complain(now, problem);
                }
                self.tell(owner.screen, &mut effects, |screen, cx| screen.transferred(&owner.slot, &answered, cx));
            }
            Msg::Failed(why) => self.say(why, &mut effects),
        }
        self.is_dirty |= was_dirty;
        effects
    }

    /// Whether something changed since the last frame.
    pub(crate) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// Everything not saved anywhere else: (id, text). Written down when the line drops.
    pub(crate) fn drafts(&self) -> Vec<(String, String)> {
        ScreenId::ALL.iter().flat_map(|id| self.screens.get(*id).drafts()).collect()
    }

    fn start(&mut self, effects: &mut Vec<Effect>) {
        self.follow(shell(WATCH), ApiPath::new(&["watch"]), effects);
        self.load(shell(YOU), Request::get(ApiPath::new(&["whoami"])), effects);
        self.load_apps(effects);
        self.enter(&Place::of(self.at), effects);
    }

    fn load_apps(&mut self, effects: &mut Vec<Effect>) {
        self.load(shell(APPS), Request::get(ApiPath::new(&["apps"]).query("limit", Some(1000))), effects);
    }

    fn drawn(&mut self) {
        self.is_dirty = false;
        self.frame += 1;
        if let Some(Layer::Question(question)) = self.layers.last_mut() {
            question.drawn(self.now.mono_ms);
        }
    }

    /// Shows a screen; where one was is remembered.
    fn go(&mut self, place: &Place, effects: &mut Vec<Effect>) {
        if place.screen != self.at {
            if self.been.len() >= BEEN_MAX {
                self.been.remove(0);
            }
            self.been.push(Place::of(self.at));
            self.leave(effects);
        }
        self.enter(place, effects);
    }

    /// Back to where one was.
    fn back(&mut self, effects: &mut Vec<Effect>) {
        let Some(place) = self.been.pop() else { return };
        self.leave(effects);
        self.enter(&place, effects);
    }

    fn enter(&mut self, place: &Place, effects: &mut Vec<Effect>) {
        self.at = place.screen;
        self.is_zoomed = false;
        self.tell(Some(place.screen), effects, |screen, cx| screen.enter(place, cx));
        if !self.entered.insert(place.screen) && self.stale.contains(&place.screen) {
            self.tell(Some(place.screen), effects, |screen, cx| screen.reload(cx));
        }
        self.stale.remove(&place.screen);
    }

    /// The screen is left: what it follows and loads ends.
    fn leave(&mut self, effects: &mut Vec<Effect>) {
        let screen = Some(self.at);
        self.screens.get_mut(self.at).leave();
        let ended: Vec<Owner> = self.generations.keys().filter(|owner| owner.screen == screen).cloned().collect();
        for owner in ended {
            self.generations.remove(&owner);
            effects.push(Effect::Stop { owner });
        }
    }

    fn loaded(&mut self, owner: &Owner, generation: u64, answered: Answered, effects: &mut Vec<Effect>) {
        self.calls.end(self.now, &CallId::Read(owner.clone(), generation), &answered);
        if self.generations.get(owner) != Some(&generation) {
            self.is_dirty = false;
            return;
        }
        self.link.answered(self.now, &answered);
        if let Some(screen) = owner.screen {
            return self.tell(Some(screen), effects, |screen, cx| screen.loaded(&owner.slot, answered, cx));
        }
        match owner.slot.name {
            YOU => self.facts.you = answered.ok().and_then(|answer| answer.json().ok()).or(self.facts.you.take()),
            APPS => self.facts.take_apps(&answered),
            _ => self.name_list(&owner.slot, &answered, effects),
        }
    }

    /// Names for the palette came; more are read only while it is open.
    fn name_list(&mut self, slot: &Slot, answered: &Answered, effects: &mut Vec<Effect>) {
        let mut is_open = false;
        if !self.layers.iter().any(|layer| matches!(layer, Layer::Palette(_))) {
            self.names.pause();
        }
        let next = self.names.loaded(slot, answered);
        for layer in &mut self.layers {
            if let Layer::Palette(palette) = layer {
                palette.know(&self.names);
                is_open = true;
            }
        }
        self.is_dirty = is_open;
        for (slot, path) in next {
            self.load(Owner { screen: None, slot }, Request::get(path), effects);
        }
    }

    fn streamed(&mut self, owner: &Owner, generation: u64, events: &[StreamEvent], effects: &mut Vec<Effect>) {
        if self.generations.get(owner) != Some(&generation) {
            return;
        }
        if owner.screen.is_some() {
            return self.tell(owner.screen, effects, |screen, cx| screen.streamed(&owner.slot, events, cx));
        }
        // What is told of the stream of changes that nothing on the screen shows needs no frame.
        for event in events {
            match event.name.as_str() {
                "change" => {
                    if let Ok(entry) = serde_json::from_value::<AuditEntry>(event.data.clone()) {
                        self.watched(&entry, effects);
                    }
                }
                "gap" => self.reload_all(effects),
                _ => {}
            }
        }
    }

    fn watched(&mut self, entry: &AuditEntry, effects: &mut Vec<Effect>) {
        if entry.action.starts_with("app.") {
            self.load_apps(effects);
        }
        self.names.changed(entry);
        self.stale.extend(self.entered.iter().copied().filter(|screen| *screen != self.at));
        self.tell(Some(self.at), effects, |screen, cx| screen.watched(entry, cx));
    }

    /// Reads everything anew: what is shown may be older than what the appliance remembers of changes.
    fn reload_all(&mut self, effects: &mut Vec<Effect>) {
        self.load_apps(effects);
        self.names.forget();
        self.stale.extend(self.entered.iter().copied().filter(|screen| *screen != self.at));
        self.tell(Some(self.at), effects, |screen, cx| screen.reload(cx));
    }

    fn stream_state(&mut self, owner: &Owner, generation: u64, state: &StreamState, effects: &mut Vec<Effect>) {
        if self.generations.get(owner) != Some(&generation) {
            return;
        }
        if owner.screen.is_some() {
            return self.tell(owner.screen, effects, |screen, cx| screen.stream_state(&owner.slot, state, cx));
        }
        let was_lost = self.link.is_lost();
        self.link.stream(self.now, state);
        if self.link.is_lost() {
            effects.push(Effect::Later { owner: shell(COUNTDOWN), after_ms: 1000 });
        } else if was_lost {
            self.load(shell(YOU), Request::get(ApiPath::new(&["whoami"])), effects);
            self.reload_all(effects);
        }
    }

    fn due(&mut self, owner: &Owner, effects: &mut Vec<Effect>) {
        if owner.screen.is_some() {
            return self.tell(owner.screen, effects, |screen, cx| screen.due(&owner.slot, cx));
        }
        match owner.slot.name {
            MESSAGE => self.is_dirty = self.messages.pass(self.now),
            COUNTDOWN if self.link.is_lost() => {
                effects.push(Effect::Later { owner: shell(COUNTDOWN), after_ms: 1000 });
            }
            _ => {}
        }
    }

    fn edited(&mut self, owner: &Owner, text: Result<String, String>, effects: &mut Vec<Effect>) {
        match text {
            Ok(text) => self.tell(owner.screen, effects, |screen, cx| screen.edited(&owner.slot, &text, cx)),
            Err(why) => self.say(why, effects),
        }
    }

    fn transferring(&mut self, owner: &Owner, bytes: u64, of: Option<u64>) {
        let size = crate::widgets::text::bytes;
        let total = of.map_or_else(String::new, |of| format!(" of {}", size(of)));
        self.link.busy = Some(format!("{} {}{total}", owner.slot.name, size(bytes)));
    }

    /// How things look now.
    pub(crate) fn look(&self) -> Look {
        Look { caps: self.facts.caps, theme: self.facts.theme, unix_ms: self.now.unix_ms, frame: self.frame }
    }
}

/// Something of the shell's own.
fn shell(name: &'static str) -> Owner {
    Owner { screen: None, slot: name.into() }
}
