//! For tests of screens: an [`App`] without a terminal, answers without an appliance.

use super::{Answer, App, Effect, Facts, Key, Msg, Now, Owner, Place, ScreenId};
use crate::theme::{Caps, ColorDepth, ThemeName};
use picloud_model::principal::{PrincipalKind, You};
use picloud_model::problem::Problem;
use picloud_model::scope::{Grant, Scope};
use serde_json::Value;

pub(crate) use super::filled::{filled, filled_with, settle};

/// An app at 2026-01-02 12:04:31 UTC, a local person, a terminal with everything.
pub(crate) struct Bench {
    /// The app.
    pub(crate) app: App,
    now: Now,
    size: (u16, u16),
    /// All effects since the beginning.
    pub(crate) effects: Vec<Effect>,
    /// Those that [`settle`] has not answered yet.
    pub(super) unanswered: Vec<Effect>,
}

/// What a good terminal can do.
pub(crate) const CAPS: Caps =
    Caps { color: ColorDepth::Ansi16, utf8: true, in_ssh: false, is_login_shell: false, points: true };

impl Bench {
    /// On this screen of an 80x24 terminal; what it wants loaded is in `effects`.
    pub(crate) fn at(screen: ScreenId) -> Self {
        Self::with(screen, (80, 24), CAPS)
    }

    /// The same with another terminal.
    pub(crate) fn with(screen: ScreenId, size: (u16, u16), caps: Caps) -> Self {
        let facts = Facts {
            caps,
            theme: ThemeName::Terminal,
            appliance: "homelab".to_owned(),
            is_read_only: false,
            you: Some(you(Scope::ALL)),
            apps: None,
            drafts: std::collections::BTreeMap::new(),
            zone: jiff::tz::TimeZone::UTC,
        };
        let now = Now { mono_ms: 10_000, unix_ms: 1_767_355_471_000 };
        let mut bench = Self { app: App::new(facts, size), now, size, effects: Vec::new(), unanswered: Vec::new() };
        bench.app.at = screen;
        bench.send(Msg::Start);
        let owner = super::shell(super::WATCH);
        let generation = bench.app.generations[&owner];
        bench.send(Msg::StreamState { owner, generation, state: super::StreamState::Live });
        bench
    }

    /// Tells the app something; answers what it wants done.
    pub(crate) fn send(&mut self, msg: Msg) -> Vec<Effect> {
        let effects = self.app.update(self.now, msg);
        self.effects.extend(effects.iter().cloned());
        self.unanswered.extend(effects.iter().cloned());
        effects
    }

    /// Draws, and lets the time of type-ahead pass.
    pub(crate) fn draw(&mut self) {
        self.send(Msg::Drawn);
        self.pass(400);
    }

    /// With this screen in place of the one that is shown.
    pub(crate) fn put(&mut self, screen: Box<dyn super::Screen>) {
        let at = self.app.at;
        self.app.screens.put(at, screen);
    }

    /// What time it is here.
    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ms += i64::try_from(ms).unwrap();
    }

    /// Types keys one after the other, each in a read of its own and after a frame; answers all effects.
    pub(crate) fn keys(&mut self, keys: &[Key]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for key in keys {
            self.draw();
            effects.extend(self.send(Msg::Keys(vec![*key])));
        }
        effects
    }

    /// The same for a text.
    pub(crate) fn typed(&mut self, text: &str) -> Vec<Effect> {
        self.keys(&text.chars().map(Key::Char).collect::<Vec<_>>())
    }

    /// Answers every load that is under way and whose path begins so (below `/api/v1`), in order.
    pub(crate) fn answer(&mut self, path: &str, body: &Value) -> Vec<Effect> {
        self.answer_with(path, Ok(Answer { status: 200, etag: None, body: body.to_string().into() }))
    }

    /// The same, with a problem or an ETag.
    pub(crate) fn answer_with(&mut self, path: &str, answered: super::Answered) -> Vec<Effect> {
        let wanted = format!("/api/v1{path}");
        let asked: Vec<(Owner, u64)> = self
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Load { owner, generation, request } if request.path.as_str().starts_with(&wanted) => {
                    Some((owner.clone(), *generation))
                }
                _ => None,
            })
            .filter(|(owner, generation)| self.app.generations.get(owner) == Some(generation))
            .collect();
        assert!(!asked.is_empty(), "nothing under {path} was asked for: {:#?}", self.effects);
        let mut effects = Vec::new();
        for (owner, generation) in asked {
            effects.extend(self.send(Msg::Loaded { owner, generation, answered: answered.clone() }));
        }
        effects
    }

    /// Refuses every load whose path begins so.
    pub(crate) fn refuse(&mut self, path: &str, problem: Problem) -> Vec<Effect> {
        self.answer_with(path, Err(problem))
    }

    /// Answers the newest change.
    pub(crate) fn wrote(&mut self, answered: super::Answered) -> Vec<Effect> {
        let newest = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Write { id, .. } => Some(*id),
            _ => None,
        });
        self.send(Msg::Wrote { id: newest.expect("something was changed"), answered })
    }

    /// Events of a stream that is followed under this path.
    pub(crate) fn stream(&mut self, path: &str, name: &str, data: Value) -> Vec<Effect> {
        let wanted = format!("/api/v1{path}");
        let followed = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Follow { owner, generation, path } if path.as_str().starts_with(&wanted) => {
                Some((owner.clone(), *generation))
            }
            _ => None,
        });
        let (owner, generation) = followed.expect("it is followed");
        let events = vec![super::StreamEvent { name: name.to_owned(), data }];
        self.send(Msg::Streamed { owner, generation, events })
    }

    /// Goes somewhere.
    pub(crate) fn go(&mut self, place: &Place) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.app.go(place, &mut effects);
        self.effects.extend(effects.iter().cloned());
        self.unanswered.extend(effects.iter().cloned());
        effects
    }

    /// What is on the screen.
    pub(crate) fn text(&mut self) -> String {
        self.app.size = self.size;
        self.app.text()
    }

    /// The same at another size.
    pub(crate) fn text_at(&mut self, width: u16, height: u16) -> String {
        self.size = (width, height);
        self.send(Msg::Resize { width, height });
        self.text()
    }
}

/// Ada, who may do these everywhere.
pub(crate) fn you(scopes: &[Scope]) -> You {
    let grants = scopes.iter().map(|scope| Grant::everywhere(*scope)).collect();
    You { kind: PrincipalKind::Person, name: "ada".to_owned(), grants }
}

/// The requests among effects that write: method and path below `/api/v1`.
pub(crate) fn writes(effects: &[Effect]) -> Vec<String> {
    let written = effects.iter().filter_map(|effect| match effect {
        Effect::Write { request, .. } => {
            let path = request.path.as_str().trim_start_matches("/api/v1");
            Some(format!("{} {path}", request.method))
        }
        _ => None,
    });
    written.collect()
}
