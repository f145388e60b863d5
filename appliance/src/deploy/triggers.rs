//! Triggers: checked like the rest of an app, compared, and changed one by one.

use super::check::{WithHint, in_app_toml};
use super::single::invalid;
use crate::admin::from_store;
use crate::appliance::Appliance;
use crate::schedules;
use picloud_model::app::App;
use picloud_model::audit::Act;
use picloud_model::bundle::{Change, ChangeAction};
use picloud_model::clock::UnixMs;
use picloud_model::ids::EventId;
use picloud_model::problem::Problem;
use picloud_model::protocol::AppSnapshot;
use picloud_model::script::{Diagnostic, ScriptKind};
use picloud_model::trigger::{Trigger, TriggerKind, TriggerSpec};
use picloud_store::TriggerWrite;
use serde_json::Value;
use std::collections::BTreeMap;

/// Checks one trigger, but for the script that it starts.
pub(super) fn check_trigger(spec: &TriggerSpec, now: UnixMs) -> Result<TriggerWrite, Vec<Diagnostic>> {
    let said = |message: &str| in_app_toml(format!("trigger `{}`: {message}", spec.name));
    let faults = spec.check();
    let mut errors: Vec<Diagnostic> = faults.iter().map(|fault| said(&fault.message).with_hint(&fault.hint)).collect();
    let is_schedule = spec.kind == TriggerKind::Cron && !faults.iter().any(|fault| fault.field == "schedule");
    let mut next_at = None;
    if is_schedule {
        match schedules::check(spec, now) {
            Ok(first) => next_at = first,
            Err(message) => errors.push(said(&message)),
        }
    }
    if errors.is_empty() { Ok(TriggerWrite { spec: spec.clone(), next_at }) } else { Err(errors) }
}

/// Checks all triggers of an app whose scripts `kind_of` knows.
pub(super) fn check_triggers(
    specs: &[TriggerSpec],
    kind_of: impl Fn(&str) -> Option<ScriptKind>,
    now: UnixMs,
    errors: &mut Vec<Diagnostic>,
) -> Vec<TriggerWrite> {
    let mut writes = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        match check_trigger(spec, now) {
            Ok(write) => writes.push(write),
            Err(found) => errors.extend(found),
        }
        errors.extend(wrong_target(spec, kind_of(&spec.script)));
        if specs[..index].iter().any(|other| other.name == spec.name) {
            let twice = in_app_toml(format!("there are two triggers `{}`", spec.name));
            errors.push(twice.with_hint("give one of the two another name"));
        }
    }
    writes
}

/// What is wrong with the script that a trigger is to start.
fn wrong_target(spec: &TriggerSpec, kind: Option<ScriptKind>) -> Option<Diagnostic> {
    let TriggerSpec { name, script, .. } = spec;
    match kind {
        Some(ScriptKind::Endpoint) => None,
        Some(ScriptKind::Module) => Some(
            in_app_toml(format!("trigger `{name}` starts `{script}`, which is a module"))
                .with_hint("a trigger starts an endpoint: write a script in scripts/ that imports the module"),
        ),
        None => Some(
            in_app_toml(format!("trigger `{name}` starts script `{script}`, which does not exist"))
                .with_hint("add that file to scripts/ (or save the script), or change `script`"),
        ),
    }
}

/// Compares two lists of triggers; which stands first is no difference.
pub(super) fn trigger_changes<'t>(
    old: impl IntoIterator<Item = &'t TriggerSpec>,
    new: impl IntoIterator<Item = &'t TriggerSpec>,
    changes: &mut Vec<Change>,
) {
    let by_name = |spec: &'t TriggerSpec| (spec.name.as_str(), spec);
    let old: BTreeMap<&str, &TriggerSpec> = old.into_iter().map(by_name).collect();
    let new: BTreeMap<&str, &TriggerSpec> = new.into_iter().map(by_name).collect();
    let change = |action, name: &str, diff: String| Change {
        action,
        what: "trigger".to_owned(),
        name: name.to_owned(),
        diff: Some(diff),
    };
    for (name, spec) in &new {
        match old.get(name) {
            None => changes.push(change(ChangeAction::Create, name, in_short(spec))),
            Some(before) if before != spec => {
                changes.push(change(ChangeAction::Update, name, fields_that_differ(before, spec)));
            }
            Some(_same) => {}
        }
    }
    for (name, spec) in old.iter().filter(|(name, _spec)| !new.contains_key(*name)) {
        changes.push(change(ChangeAction::Delete, name, in_short(spec)));
    }
}

/// `kv widgets → on_widget`
fn in_short(spec: &TriggerSpec) -> String {
    let source = [&spec.collection, &spec.schedule, &spec.topic, &spec.trigger].into_iter().flatten().next();
    let source = source.map(|source| format!(" {source}")).unwrap_or_default();
    format!("{}{source} → {}", spec.kind.as_str(), spec.script)
}

/// `schedule "0 3 * * *" → "0 4 * * *", missed none → "all"`
fn fields_that_differ(old: &TriggerSpec, new: &TriggerSpec) -> String {
    let fields = |spec: &TriggerSpec| match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(old), fields(new));
    let mut names: Vec<&String> =
        old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).collect();
    names.sort();
    names.dedup();
    let shown = |value: Option<&Value>| value.map_or("none".to_owned(), Value::to_string);
    let told = |name: &&String| format!("{name} {} → {}", shown(old.get(*name)), shown(new.get(*name)));
    names.iter().map(told).collect::<Vec<_>>().join(", ")
}

/// The app's triggers with those that start `script` replaced by `recorded`; whatever stays keeps its place. Those of
/// `recorded` whose name belongs to a trigger of another script by now are left out, and named.
pub(super) fn triggers_with(
    now: &[TriggerSpec],
    script: &str,
    recorded: &[TriggerSpec],
) -> (Vec<TriggerSpec>, Vec<String>) {
    let of_now = |name: &str| now.iter().find(|spec| spec.name == name);
    let is_taken = |spec: &TriggerSpec| of_now(&spec.name).is_some_and(|other| other.script != script);
    let (taken, back): (Vec<&TriggerSpec>, Vec<&TriggerSpec>) = recorded.iter().partition(|spec| is_taken(spec));
    let replaced = now.iter().filter_map(|spec| {
        if spec.script == script { back.iter().find(|other| other.name == spec.name).copied() } else { Some(spec) }
    });
    let come = back.iter().copied().filter(|spec| of_now(&spec.name).is_none());
    (replaced.chain(come).cloned().collect(), taken.into_iter().map(|spec| spec.name.clone()).collect())
}

impl Appliance {
    /// Makes a trigger so.
    pub async fn put_trigger(
        &self,
        app: &App,
        spec: &TriggerSpec,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<Trigger, Problem> {
        let write = check_trigger(spec, act.at).map_err(|errors| invalid(&app.name, errors))?;
        let _alone = self.changes.lock().await;
        let live = self.registry.app(app.id).ok_or_else(|| Problem::not_found("app", &app.name))?;
        if let Some(error) = wrong_target(spec, kind_in(&live, &spec.script)) {
            return Err(invalid(&app.name, vec![error]));
        }
        let trigger = self.store.put_trigger(app.id, &write, expected, act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(trigger)
    }

    /// Removes a trigger with what waits in its queue. Answers whether it was there.
    pub async fn delete_trigger(
        &self,
        app: &App,
        name: &str,
        expected: Option<i64>,
        act: &Act,
    ) -> Result<bool, Problem> {
        let _alone = self.changes.lock().await;
        let deleted = self.store.delete_trigger(app.id, name, expected, act).await.map_err(from_store)?;
        self.registry.publish(app.id).await.map_err(from_store)?;
        Ok(deleted)
    }

    /// Pauses a trigger, or lets it go on.
    pub async fn pause_trigger(
        &self,
        app: &App,
        name: &str,
        reason: Option<&str>,
        act: &Act,
    ) -> Result<Option<Trigger>, Problem> {
        self.store.pause_trigger(app.id, name, reason, act).await.map_err(from_store)
    }

    /// Starts a trigger's script with a made-up event.
    pub async fn fire_trigger(
        &self,
        app: &App,
        name: &str,
        body: &[u8],
        act: &Act,
    ) -> Result<Option<EventId>, Problem> {
        self.store.fire_trigger(app.id, name, body, act).await.map_err(from_store)
    }
}

fn kind_in(live: &AppSnapshot, script: &str) -> Option<ScriptKind> {
    live.script(script).map(|script| script.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pubsub(name: &str, script: &str, topic: &str) -> TriggerSpec {
        TriggerSpec { topic: Some(topic.to_owned()), ..TriggerSpec::new(name, TriggerKind::Pubsub, script) }
    }

    #[test]
    fn triggers_of_others_keep_their_places_and_their_names() {
        let now = [pubsub("a", "hello", "1"), pubsub("b", "other", "1"), pubsub("c", "hello", "1")];
        let recorded = [pubsub("c", "hello", "2"), pubsub("b", "hello", "2"), pubsub("d", "hello", "2")];
        let (back, taken) = triggers_with(&now, "hello", &recorded);
        assert_eq!(back, [pubsub("b", "other", "1"), pubsub("c", "hello", "2"), pubsub("d", "hello", "2")]);
        assert_eq!(taken, ["b"]);
        assert_eq!(triggers_with(&now, "hello", &[]).0, [pubsub("b", "other", "1")]);
    }

    #[test]
    fn a_change_of_a_trigger_names_the_fields() {
        let old = [pubsub("a", "hello", "1"), pubsub("b", "hello", "1"), pubsub("c", "hello", "1")];
        let mut new = [pubsub("d", "hello", "4"), pubsub("b", "hello", "1"), pubsub("a", "hello", "2")];
        new[2].concurrency = Some(3);
        let mut changes = Vec::new();
        trigger_changes(&old, &new, &mut changes);
        let told: Vec<String> =
            changes.iter().map(|it| format!("{:?} {}: {}", it.action, it.name, it.diff.as_deref().unwrap())).collect();
        assert_eq!(
            told,
            [
                "Update a: concurrency none → 3, topic \"1\" → \"2\"",
                "Create d: pubsub 4 → hello",
                "Delete c: pubsub 1 → hello"
            ]
        );
    }
}
