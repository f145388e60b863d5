//! Publishing a value on a topic, once: every trigger that takes the topic runs.

use super::Triggers;
use crate::app::{Answered, Change, Context, Request};
use crate::path::ApiPath;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::picker::PickerItem;
use picloud_model::trigger::TriggerKind;
use serde_json::{Value, json};

/// Its item in the picker, its form and its change.
pub(super) const PUBLISH: &str = "publish";

/// What stands in the picker below the kinds.
pub(super) fn item() -> PickerItem {
    PickerItem::new(PUBLISH, "publish a value once", "makes no trigger")
}

impl Triggers {
    /// It was chosen: the form asks for what is published. The topic of the selected trigger is there already, unless
    /// it has wildcards.
    pub(super) fn publish_picked(&self, cx: &mut Context<'_>) {
        let (apps, selected) = self.apps_to_choose(cx);
        let spec = self.selected().map(|(_, trigger)| &trigger.spec);
        let topic = spec.filter(|spec| spec.kind == TriggerKind::Pubsub).and_then(|spec| spec.topic.clone());
        let topic = topic.filter(|topic| !topic.contains(['+', '#'])).unwrap_or_default();
        let app = Field::line("app", "app", "the app whose triggers take it").with(selected.unwrap_or_default());
        let value = Field::line("value", "value", "JSON: text has \" around it").kind(FieldKind::Text).needed();
        let form = Form::new("Publish a value once", "publish")
            .field(app.kind(FieldKind::Choice(apps)).needed())
            .field(Field::line("topic", "topic", "segments with / between").with(topic).needed())
            .field(value)
            .field(Field::line("delay_ms", "delay ms", "deliver no sooner than so long from now; at once where empty"))
            .field(Field::line("dedup_key", "dedup key", "a second one with the same key within a day does nothing"));
        cx.form(PUBLISH, form);
    }

    /// The form is filled in.
    pub(super) fn publish_filled(values: &Values, cx: &mut Context<'_>) {
        let input = match input(values) {
            Ok(input) => input,
            Err(why) => return cx.refuse(why),
        };
        let app = values.get("app");
        let done = format!("published on {} of {app}", values.get("topic").trim());
        let request = Request::post(ApiPath::of_app(app, &["publish"]), &input);
        cx.change(Change::new(done, request).tag(PUBLISH));
    }
}

/// What the fields say.
fn input(values: &Values) -> Result<Value, String> {
    let value: Value =
        serde_json::from_str(values.get("value")).map_err(|error| format!("the value is no JSON: {error}"))?;
    let mut input = json!({ "topic": values.get("topic").trim(), "value": value });
    let delay = values.get("delay_ms").trim();
    if !delay.is_empty() {
        let delay_ms: u64 = delay.parse().map_err(|_no_number| format!("delay ms: `{delay}` is no number"))?;
        input["delay_ms"] = delay_ms.into();
    }
    if let Some(key) = values.filled("dedup_key") {
        input["dedup_key"] = key.into();
    }
    Ok(input)
}

/// It was published: how many triggers take it.
pub(super) fn published(answered: &Answered, cx: &mut Context<'_>) {
    let Ok(Ok(answer)) = answered.as_ref().map(|answer| answer.json::<Value>()) else { return };
    let event = answer["event_id"].as_str();
    cx.say(match (answer["deliveries"].as_u64().unwrap_or(0), event) {
        (0, Some(_)) => "published: no trigger takes it".to_owned(),
        (0, None) => "nothing was published: no trigger takes it, or it was there".to_owned(),
        (1, _) => "published: 1 trigger takes it".to_owned(),
        (count, _) => format!("published: {count} triggers take it"),
    });
}
