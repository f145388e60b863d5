//! What is shown of all runs and lines: of which app, script, trigger or machine, how ended, how grave.

use crate::path::ApiPath;
use crate::widgets::picker::PickerItem;
use picloud_model::execution::{LogLevel, Outcome};

/// Levels, as they can be chosen.
const LEVELS: [LogLevel; 4] = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
/// How runs end.
const OUTCOMES: [Outcome; 3] = [Outcome::Failed, Outcome::Ok, Outcome::WorkerLost];

/// Only these; everything where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Narrow {
    /// Of this app.
    pub(super) app: Option<String>,
    /// Of this script.
    pub(super) script: Option<String>,
    /// Started by this trigger; runs only.
    pub(super) trigger: Option<String>,
    /// On this machine; lines only.
    pub(super) node: Option<String>,
    /// Lines that matter at least so much.
    pub(super) level: Option<LogLevel>,
    /// Runs that ended so.
    pub(super) outcome: Option<Outcome>,
    /// The run with this id, and all that came of it.
    pub(super) root: Option<String>,
}

impl Narrow {
    /// Where the lines come from.
    pub(super) fn logs(&self) -> ApiPath {
        ApiPath::new(&["logs"])
            .query("app", self.app.as_ref())
            .query("script", self.script.as_ref())
            .query("node", self.node.as_ref())
            .query("level", self.level.map(LogLevel::as_str))
    }

    /// Where the runs come from: of an app, or of all that may be seen.
    pub(super) fn executions(&self, limit: u32, cursor: Option<&str>) -> ApiPath {
        let path = match &self.app {
            Some(app) => ApiPath::of_app(app, &["executions"]),
            None => ApiPath::new(&["executions"]),
        };
        path.query("script", self.script.as_ref())
            .query("trigger", self.trigger.as_ref())
            .query("outcome", self.outcome.map(Outcome::as_str))
            .query("root_execution_id", self.root.as_ref())
            .query("limit", Some(limit))
            .query("cursor", cursor)
    }

    /// What the title says of lines: `app:blog level>=info`.
    pub(super) fn told_of_lines(&self) -> String {
        let level = self.level.map(|level| format!("level>={}", level.as_str()));
        let node = self.node.as_ref().map(|node| format!("node:{node}"));
        [self.whose(), node, level].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// What the title says of runs.
    pub(super) fn told_of_runs(&self) -> String {
        let trigger = self.trigger.as_ref().map(|trigger| format!("trigger:{trigger}"));
        let outcome = self.outcome.map(|outcome| format!("outcome:{}", outcome.as_str()));
        let root = self.root.as_ref().map(|root| format!("of run {}", short(root)));
        [self.whose(), trigger, outcome, root].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    fn whose(&self) -> Option<String> {
        match (&self.app, &self.script) {
            (Some(app), Some(script)) => Some(format!("{app}/{script}")),
            (Some(app), None) => Some(format!("app:{app}")),
            (None, Some(script)) => Some(format!("script:{script}")),
            (None, None) => None,
        }
    }

    /// What can be chosen, for lines or for runs.
    /// `others` are names of machines for lines, of triggers for runs.
    pub(super) fn choices(
        &self,
        of_lines: bool,
        apps: &[&str],
        scripts: &[String],
        others: &[String],
    ) -> Vec<PickerItem> {
        let mut items = Vec::new();
        if *self != Self::default() {
            items.push(PickerItem::new("all", "everything", "no limits"));
        }
        if of_lines {
            items.extend(LEVELS.iter().map(|level| {
                let word = level.as_str();
                PickerItem::new(format!("level:{word}"), format!("level {word}"), "lines that matter as much, or more")
            }));
        } else {
            items.extend(OUTCOMES.iter().map(|outcome| {
                let word = outcome.as_str();
                PickerItem::new(format!("outcome:{word}"), format!("outcome {word}"), "runs that ended so")
            }));
        }
        items.extend(apps.iter().map(|app| PickerItem::new(format!("app:{app}"), format!("app {app}"), "")));
        let script = |name: &String| PickerItem::new(format!("script:{name}"), format!("script {name}"), "");
        items.extend(scripts.iter().map(script));
        let other = if of_lines { "node" } else { "trigger" };
        let item = |name: &String| PickerItem::new(format!("{other}:{name}"), format!("{other} {name}"), "");
        items.extend(others.iter().map(item));
        items
    }

    /// Takes what was chosen.
    pub(super) fn choose(&mut self, id: &str) {
        let (what, name) = id.split_once(':').unwrap_or((id, ""));
        let name = (!name.is_empty()).then(|| name.to_owned());
        match what {
            "all" => *self = Self::default(),
            "level" => self.level = LEVELS.into_iter().find(|level| Some(level.as_str()) == name.as_deref()),
            "outcome" => self.outcome = OUTCOMES.into_iter().find(|outcome| Some(outcome.as_str()) == name.as_deref()),
            "app" => *self = Self { app: name, script: None, trigger: None, root: None, ..self.clone() },
            "node" => self.node = name,
            "trigger" => {
                let name = name.unwrap_or_default();
                let (app, trigger) =
                    name.split_once('/').map_or((None, name.as_str()), |(app, name)| (Some(app), name));
                self.app = app.map(str::to_owned).or(self.app.take());
                self.trigger = Some(trigger.to_owned()).filter(|name| !name.is_empty());
                (self.script, self.root) = (None, None);
            }
            "script" => {
                let name = name.unwrap_or_default();
                match name.split_once('/') {
                    Some((app, script)) => {
                        self.app = Some(app.to_owned());
                        self.script = Some(script.to_owned());
                    }
                    None => self.script = Some(name).filter(|name| !name.is_empty()),
                }
            }
            _ => {}
        }
    }
}

/// The end of an id: its beginning is the time, and alike for all runs of a day.
pub(super) fn short(id: &str) -> &str {
    &id[id.char_indices().rev().nth(7).map_or(0, |(at, _)| at)..]
}
