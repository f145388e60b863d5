//! What keys do on the Runs screen: to the lines, to the runs that are kept, and to an opened run.

use super::detail::Detail;
use super::{Mode, Runs, live, told};
use crate::app::{Answered, Change, Context, Offer, Place, Request, ScreenId};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::widgets::form::{Field, Form, Values};
use crate::widgets::picker::Picker;
use crate::widgets::reader::Reader;
use serde_json::{Value, json};

/// The picker of what is shown.
pub(super) const NARROW: &str = "narrow";
/// The picker of what is copied.
const COPY: &str = "copy";
/// The form before a run is run again, and what came of it.
pub(super) const REPLAY: &str = "replay";
/// The form of the file that lines are saved in.
pub(super) const SAVE: &str = "save";

impl Runs {
    /// What can be done now.
    pub(super) fn offered(&self) -> Vec<Offer> {
        match (&self.detail, self.mode) {
            (Some(detail), _) => {
                let line = detail.place().map(|(_, line)| format!("line {line}"));
                vec![
                    Offer::new(Action::Edit, line.unwrap_or_else(|| "script".to_owned())),
                    Offer::new(Action::RunAgain, "run again")
                        .unless(self.may_not_run.clone().or(detail.not_replayable().map(str::to_owned))),
                    Offer::new(Action::Copy, "copy"),
                    Offer::new(Action::Info, "JSON"),
                    Offer::new(Action::Logs, "script's log"),
                    Offer::new(Action::Wrap, "wrap"),
                ]
            }
            (None, Mode::Live) => {
                let none = self.live.selected().is_none().then_some("there is no line");
                let follow = if self.live.is_following() { "pause" } else { "follow" };
                vec![
                    Offer::new(Action::Follow, follow),
                    Offer::new(Action::NextPane, "kept runs"),
                    Offer::new(Action::Open, "run").unless(none),
                    Offer::new(Action::NextHit, "failure"),
                    Offer::new(Action::Sort, "only..."),
                    Offer::new(Action::Wrap, "wrap"),
                    Offer::new(Action::Copy, "copy line").unless(none),
                    Offer::new(Action::Edit, "script").unless(none),
                    Offer::new(Action::Save, "save lines").unless(none),
                ]
            }
            (None, Mode::Kept) => {
                let none = self.history.selected().is_none().then_some("there is no run");
                vec![
                    Offer::new(Action::Open, "run").unless(none),
                    Offer::new(Action::NextPane, "live log"),
                    Offer::new(Action::Sort, "only..."),
                    Offer::new(Action::RunAgain, "run again")
                        .unless(self.may_not_run.clone().or(none.map(str::to_owned))),
                    Offer::new(Action::Edit, "script").unless(none),
                    Offer::new(Action::Logs, "script's log").unless(none),
                    Offer::new(Action::NextHit, "failure"),
                    Offer::new(Action::Copy, "copy id").unless(none),
                ]
            }
        }
    }

    /// A key while lines are shown.
    pub(super) fn act_on_lines(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        if self.live.act(action) {
            return true;
        }
        match action {
            Action::NextPane | Action::PreviousPane => self.turn(Mode::Kept, cx),
            Action::NextHit | Action::PreviousHit => {
                if !self.live.seek_failure(action == Action::NextHit) {
                    cx.say("no further failure among these lines");
                }
            }
            Action::Sort => self.pick(cx),
            Action::Save => {
                let date = picloud_model::clock::rfc3339(cx.now.unix_ms);
                let name = format!("picloud-{}.log", date.get(..10).unwrap_or_default());
                let help = "a file of the machine that this program runs on; none is overwritten";
                let path = Field::line("path", "file", help).with(name).needed();
                cx.form(SAVE, Form::new("Save the lines that are shown", "save").field(path));
            }
            _ => return self.act_on_line(action, cx),
        }
        true
    }

    /// A key for the line with the cursor.
    fn act_on_line(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(line) = self.live.selected() else { return false };
        match action {
            Action::Open | Action::Info if line.execution_id.is_empty() => cx.say("this line is of no run"),
            Action::Open | Action::Info => {
                let detail = Detail::open(&line.app, &line.execution_id, cx);
                self.detail = Some(detail);
            }
            Action::Edit => {
                let place = Place::of(ScreenId::Scripts).app(&line.app);
                let (script, number) = line.at.clone().unzip();
                let place = place.thing(script.unwrap_or_else(|| line.script.clone()));
                cx.go(number.map_or(place.clone(), |number| place.line(number)));
            }
            Action::Copy => cx.copy("this line", live::as_text(line)),
            _ => return false,
        }
        true
    }

    /// A key while runs are shown.
    pub(super) fn act_on_runs(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        match action {
            Action::NextPane | Action::PreviousPane | Action::Follow => self.turn(Mode::Live, cx),
            Action::Sort => self.pick(cx),
            Action::NextHit | Action::PreviousHit => self.seek_failed(action == Action::NextHit, cx),
            // A list of runs has no marks: nothing is done to several.
            Action::Mark | Action::MarkAll => return false,
            _ if self.history.list.act(action) => self.history.more(&self.narrow, cx),
            _ => return self.act_on_run(action, cx),
        }
        true
    }

    fn seek_failed(&mut self, forward: bool, cx: &mut Context<'_>) {
        let from = self.history.list.selected_id().map(str::to_owned);
        let step = if forward { Action::Down } else { Action::Up };
        loop {
            let before = self.history.list.selected_id().map(str::to_owned);
            self.history.list.act(step);
            let now = self.history.selected();
            if now.is_some_and(|run| Some(&run.id) != before.as_ref() && run.outcome.as_str() != "ok") {
                return;
            }
            if now.map(|run| &run.id) == before.as_ref() {
                break;
            }
        }
        if let Some(from) = from {
            self.history.list.select(&from);
        }
        cx.say("no further failure among the runs that were read");
    }

    /// A key for the run with the cursor.
    fn act_on_run(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(run) = self.history.selected().cloned() else { return false };
        match action {
            Action::Open | Action::Info | Action::RunAgain => {
                self.wants_replay = action == Action::RunAgain;
                self.detail = Some(Detail::open(&run.app, &run.id, cx));
            }
            Action::Edit => cx.go(Place::of(ScreenId::Scripts).app(run.app).thing(run.script)),
            Action::Logs => self.log_of(&run.app, &run.script, cx),
            Action::Copy => cx.copy("the id", run.id),
            _ => return false,
        }
        true
    }

    /// A key while a run is opened.
    pub(super) fn act_on_detail(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(detail) = &self.detail else { return false };
        if detail.act(action) {
            return true;
        }
        match action {
            Action::Back => (self.detail, self.wants_replay) = (None, false),
            Action::Wrap => self.wraps_detail = !self.wraps_detail,
            Action::Edit | Action::Open => {
                let place = Place::of(ScreenId::Scripts).app(&detail.app);
                match detail.place() {
                    Some((script, line)) => cx.go(place.thing(script).line(line)),
                    None if detail.word("script").is_empty() => cx.say("the run is not there yet"),
                    None => cx.go(place.thing(detail.word("script"))),
                }
            }
            Action::RunAgain => self.ask_replay(cx),
            Action::Copy => cx.pick(COPY, Picker::new("Copy", detail.copies())),
            Action::Info => cx.read(detail.reader()),
            Action::Logs => {
                let (app, script) = (detail.app.clone(), detail.word("script").to_owned());
                self.log_of(&app, &script, cx);
            }
            _ => return false,
        }
        true
    }

    /// The run that was opened came.
    pub(super) fn run_came(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(detail) = &mut self.detail else { return };
        detail.loaded(answered, cx);
        if std::mem::take(&mut self.wants_replay) && detail.run.is_some() {
            self.ask_replay(cx);
        }
    }

    fn ask_replay(&self, cx: &mut Context<'_>) {
        let Some(detail) = self.detail.as_ref().filter(|detail| detail.run.is_some()) else { return };
        match detail.not_replayable() {
            Some(why) => cx.say(why),
            None => cx.form(REPLAY, detail.replay_form()),
        }
    }

    /// The form is filled in: a dry run changes nothing, another is asked for once more.
    pub(super) fn replay(&self, values: &Values, cx: &mut Context<'_>) {
        let Some(detail) = &self.detail else { return };
        let version = values.get("version").strip_prefix("as then: ").and_then(|number| number.parse::<i64>().ok());
        let is_dry = values.is_on("dry_run");
        let path = ApiPath::of_app(&detail.app, &["executions", &detail.id, "replay"]);
        let request = Request::post(path, &json!({ "version": version, "dry_run": is_dry }));
        if is_dry {
            return cx.load_with(REPLAY, request);
        }
        let script = detail.word("script");
        let question = format!("run {script} again: what it does happens twice");
        cx.change(Change::new(format!("ran {script} again"), request).asks("run", question).tag(REPLAY));
    }

    /// What came of running it again.
    pub(super) fn replayed(&self, answered: &Answered, cx: &mut Context<'_>) {
        match answered.as_ref().map_err(Clone::clone).and_then(|answer| answer.json::<Value>()) {
            Ok(answer) => {
                cx.read(Reader::of("What came of it", told::ran(&answer, &cx.facts.zone)).json(answer));
            }
            Err(problem) => cx.complain(problem),
        }
    }

    /// The lines of one script, as they come.
    fn log_of(&mut self, app: &str, script: &str, cx: &mut Context<'_>) {
        self.detail = None;
        self.narrow.choose("all");
        self.narrow.choose(&format!("script:{app}/{script}"));
        self.turn(Mode::Live, cx);
    }

    /// What may be shown only.
    fn pick(&self, cx: &mut Context<'_>) {
        let apps = cx.facts.app_names();
        let of_lines = self.mode == Mode::Live;
        let mut scripts = self.history.scripts();
        scripts.extend(self.live.ring.names(super::ring::Line::whose));
        let others = if of_lines { self.live.ring.names(|line| line.node.clone()) } else { self.history.triggers() };
        let (scripts, others): (Vec<String>, Vec<String>) =
            (scripts.into_iter().collect(), others.into_iter().collect());
        let title = if of_lines { "Show only lines" } else { "Show only runs" };
        cx.pick(NARROW, Picker::new(title, self.narrow.choices(of_lines, &apps, &scripts, &others)));
    }
}
