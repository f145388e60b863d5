//! Saving, with what to do where somebody else was faster; making and deleting; trying.

use super::answers::{RUN, told};
use super::desk::Live;
use super::past::back_to_source;
use super::trial::{Inputs, Outcome};
use super::{Below, Focus, Id, Scripts, acts, told as texts};
use crate::app::{Answered, Change, Context, Request};
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::picker::{Picker, PickerItem};
use picloud_model::problem::Code;
use picloud_model::script::{SavedScript, ScriptInput, ScriptKind};

/// A text is saved.
pub(super) const SAVE: &str = "save";
/// A script is made.
pub(super) const NEW: &str = "new";
/// What is live now is read, because it is not what the draft began with.
pub(super) const CONFLICT: &str = "conflict";
/// What of a script with a draft goes.
const DELETE: &str = "delete";
/// The form of a test run.
const TRY: &str = "try";
/// How many scripts' inputs of test runs are remembered.
const INPUTS_MAX: usize = 100;

impl Scripts {
    /// Saves the text over the version that it began with.
    pub(super) fn save(&mut self, message: Option<String>, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_mut().filter(|desk| desk.is_changed()) else {
            return cx.say("nothing to save: it is as it is live");
        };
        if let Some(why) = &self.refused {
            return cx.say(why.clone());
        }
        let text = desk.editor.text();
        let input = ScriptInput { kind: desk.kind(), source: text.clone(), message };
        let request = Request::put(desk.id.path(&[]), &input);
        let mut change = Change::new(format!("saved {}", desk.id), request).tag(SAVE);
        if desk.base > 0 {
            change.request = change.request.if_match(desk.base);
            change = change.undone_by(
                format!("{} is as it was at v{}", desk.id.name, desk.base),
                back_to_source(&desk.id, desk.base),
            );
        }
        self.saving.push_back((desk.id.clone(), text));
        cx.change(change);
    }

    /// Asks why, and saves.
    pub(super) fn ask_message(&self, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_ref().filter(|desk| desk.is_changed()) else {
            return cx.say("nothing to save: it is as it is live");
        };
        let field = Field::line("message", "Why", "kept with the version");
        cx.form(SAVE, Form::new(format!("Save {}", desk.id), "save").field(field));
    }

    /// Somebody else saved meanwhile: this is live now.
    pub(super) fn take_conflict(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        let live = match answered {
            Ok(answer) => answer.json::<Live>(),
            Err(problem) => Err(problem.clone()),
        };
        match live {
            Ok(live) => {
                let (now, base) = (live.script.version, desk.base);
                let title = format!("{}: v{now} is live, yours is of v{base}", desk.id);
                let items = vec![
                    PickerItem::new("both", "open both in $EDITOR", "with what differs marked"),
                    PickerItem::new("mine", "keep mine", format!("save it over v{now} by {}", live.author)),
                    PickerItem::new("theirs", "take theirs", "typing is undone by u or Ctrl-U"),
                ];
                self.theirs = Some(live);
                cx.pick(CONFLICT, Picker::new(title, items));
            }
            Err(problem) if problem.code == Code::NotFound => {
                desk.rebase(0, cx);
                desk.live = None;
                cx.say(format!("{} was deleted meanwhile: s makes it anew", desk.id));
            }
            Err(problem) => cx.complain(problem),
        }
    }

    fn settle(&mut self, choice: &str, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        if choice == "both" {
            if let Some(theirs) = &self.theirs {
                let both = texts::merged(&theirs.source, &desk.editor.text(), theirs.script.version);
                let slot = crate::app::Slot::of(super::typing::BOTH, desk.id.to_string());
                cx.edit_outside(slot, &format!("{}.rhai", desk.id.name), both, None);
            }
            return;
        }
        let Some(theirs) = self.theirs.take() else { return };
        let version = theirs.script.version;
        if choice == "mine" {
            desk.rebase(version, cx);
            desk.live = Some(theirs);
            self.save(None, cx);
        } else {
            desk.forget_draft(cx);
            desk.editor.set_text(&theirs.source);
            desk.base = version;
            desk.be_clean();
            desk.live = Some(theirs);
        }
    }

    /// The form for a new one.
    pub(super) fn ask_new(&self, cx: &mut Context<'_>) {
        let apps = self.tree.app_names();
        if apps.is_empty() {
            return cx.say("there is no app yet: 3, then n makes one");
        }
        let app = self.tree.app().unwrap_or_default();
        let choice = |choices: &[&str]| FieldKind::Choice(choices.iter().map(|choice| (*choice).to_owned()).collect());
        let form = Form::new("New script", "create")
            .field(Field::line("app", "App", "that it belongs to").with(app).kind(FieldKind::Choice(apps)).needed())
            .field(Field::line("name", "Name", "lower case letters, digits and _").needed())
            .field(Field::line("template", "Begins as", "what stands in it first").kind(choice(&texts::TEMPLATES)));
        cx.form(NEW, form);
    }

    fn make(&self, values: &Values, cx: &mut Context<'_>) {
        let id = Id { app: values.get("app").to_owned(), name: values.get("name").trim().to_owned() };
        if self.tree.script(&id).is_some() {
            return cx.refuse(format!("{} has a script {} already", id.app, id.name));
        }
        let (kind, source) = texts::template(values.get("template"));
        let input = ScriptInput { kind, source: source.to_owned(), message: None };
        cx.change(Change::new(format!("made {id}"), Request::put(id.path(&[]), &input)).tag(NEW));
    }

    /// A script was made: it is opened.
    pub(super) fn made(&mut self, answered: &Answered, cx: &mut Context<'_>) {
        let Ok(answer) = answered else { return };
        let (Ok(saved), Some(app)) = (answer.json::<SavedScript>(), self.making.clone()) else { return };
        self.tree.load_app(&app, cx);
        self.open(Id { app, name: saved.script.name }, cx);
        self.focus = Focus::Source;
    }

    /// Asks what goes: all that are marked, the draft, or the script.
    pub(super) fn ask_delete(&mut self, cx: &mut Context<'_>) {
        let marked: Vec<Id> = self.tree.list.chosen().into_iter().filter_map(Id::parse).collect();
        if self.focus == Focus::Tree && self.tree.list.marked() > 0 {
            return self.delete_marked(&marked, cx);
        }
        self.open_selected(cx);
        let Some(desk) = &self.desk else { return };
        if !desk.is_changed() {
            return self.delete_opened(cx);
        }
        let items = vec![
            PickerItem::new("draft", "throw the draft away", format!("back to v{} as it is live", desk.base)),
            PickerItem::new("script", "delete the script", format!("{} with all its versions", desk.id)),
        ];
        cx.pick(DELETE, Picker::new(format!("{} has a draft", desk.id), items));
    }

    fn delete_marked(&self, ids: &[Id], cx: &mut Context<'_>) {
        let question = format!("delete {} with their versions: {}", ids.len(), told(ids));
        let change = |id: &Id| {
            Change::new(format!("deleted {id}"), Request::delete(id.path(&[])))
                .asks_to_type("delete", question.clone(), ids.len())
                .tag(DELETE)
        };
        cx.changes(ids.iter().map(change).collect());
    }

    fn delete_opened(&mut self, cx: &mut Context<'_>) {
        self.is_deleting = true;
        self.delete_if_known(cx);
        if self.is_deleting {
            cx.say("looking at what uses it");
        }
    }

    /// Asks whether the script is to go, once it is known what uses it.
    pub(super) fn delete_if_known(&mut self, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_ref().filter(|desk| self.is_deleting && desk.related.is_read()) else { return };
        let Some(live) = &desk.live else { return };
        self.is_deleting = false;
        let users = desk.related.users();
        let path = desk.id.path(&[]).flag("force", !users.is_empty());
        let change = Change::new(format!("deleted {}", desk.id), Request::delete(path).if_match(live.script.version));
        let change = if users.is_empty() {
            let question = format!("delete {}: its {} versions are gone for good", desk.id.name, live.script.version);
            change.asks("delete", question)
        } else {
            // The routes go with it, and what imports it breaks. The question names it a second time.
            let question = format!("{} is used by {}", desk.id.name, desk.related.user_names());
            change.asks_to_type("delete", question, &desk.id.name)
        };
        cx.change(change.tag(DELETE));
    }

    fn throw_draft_away(&mut self, cx: &mut Context<'_>) {
        let Some(desk) = &mut self.desk else { return };
        let Some(live) = &desk.live else { return cx.say("it is not saved at all: D deletes nothing") };
        desk.editor.set_text(&live.source);
        let version = live.script.version;
        desk.forget_draft(cx);
        desk.base = version;
        desk.be_clean();
        cx.say(format!("as it is live, v{version}; e, then Ctrl-U brings what was typed back"));
    }

    /// The form of a test run, filled in as it was last.
    pub(super) fn ask_inputs(&mut self, cx: &mut Context<'_>) {
        self.open_selected(cx);
        let Some(desk) = &self.desk else { return };
        if desk.kind() == ScriptKind::Module {
            return cx.say("a module is not run; try a script that imports it");
        }
        let inputs = self.inputs.get(&desk.id).cloned().unwrap_or_default();
        cx.form(TRY, inputs.form(&desk.id, desk.is_changed()));
    }

    /// The form for the request that somebody came with, once it is known what the script is.
    pub(super) fn try_as_wanted(&mut self, cx: &mut Context<'_>) {
        let Some(desk) = self.desk.as_ref().filter(|desk| desk.live.is_some() && !desk.is_typing) else { return };
        let Some((method, path)) = self.wanted_trial.take() else { return };
        let inputs = self.inputs.get(&desk.id).cloned().unwrap_or_default().for_request(&method, &path);
        cx.form(TRY, inputs.form(&desk.id, desk.is_changed()));
    }

    fn run(&mut self, values: &Values, cx: &mut Context<'_>) {
        let Some(desk) = &self.desk else { return };
        let inputs = match Inputs::of(values) {
            Ok(inputs) => inputs,
            Err(why) => return cx.refuse(why),
        };
        if self.inputs.len() >= INPUTS_MAX && !self.inputs.contains_key(&desk.id) {
            self.inputs.pop_first();
        }
        let source = desk.is_changed().then(|| desk.editor.text());
        let request = inputs.request(&desk.id, source.as_deref());
        self.tried = format!("{}{}", inputs.title(), if inputs.is_dry { "  dry" } else { "" });
        self.outcome = Outcome::default();
        self.below = Below::Outcome;
        self.focus = Focus::Below;
        if inputs.is_dry {
            cx.load_with(RUN, request);
        } else {
            cx.change(Change::new(format!("ran {}", desk.id), request).tag(RUN));
        }
        self.inputs.insert(desk.id.clone(), inputs);
    }

    /// A form was filled in.
    pub(super) fn take_form(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        match form {
            SAVE => self.save(values.filled("message").map(str::to_owned), cx),
            NEW => {
                self.making = Some(values.get("app").to_owned());
                self.make(values, cx);
            }
            TRY => self.run(values, cx),
            _ => {}
        }
    }

    /// One of several things was chosen.
    pub(super) fn take_pick(&mut self, picker: &'static str, id: &str, cx: &mut Context<'_>) {
        match (picker, id) {
            (CONFLICT, choice) => self.settle(choice, cx),
            (DELETE, "draft") => self.throw_draft_away(cx),
            (DELETE, _) => self.delete_opened(cx),
            (acts::COPY, what) => self.copy(what, cx),
            _ => {}
        }
    }

    fn copy(&self, what: &str, cx: &mut Context<'_>) {
        let Some(desk) = &self.desk else { return };
        let inputs = || self.inputs.get(&desk.id).cloned().unwrap_or_default();
        let source = || desk.is_changed().then(|| desk.editor.text());
        match what {
            "source" => cx.copy("the source", desk.editor.text()),
            "name" => cx.copy("the name", desk.id.to_string()),
            "get" => cx.copy("the command", texts::get_command(&desk.id)),
            "run" => cx.copy("the command", inputs().command(&desk.id)),
            "curl" => {
                let line = texts::curl(cx.facts, &inputs().request(&desk.id, source().as_deref()));
                cx.copy("the curl line", line);
            }
            _ => cx.copy("the answer", self.outcome.body.clone()),
        }
    }
}
