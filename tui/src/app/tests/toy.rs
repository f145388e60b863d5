//! A screen with one thing of each kind to do, for tests of the shell.

use crate::app::testing::Bench;
use crate::app::{Answer, Answered, Change, Context, Offer, Place, Request, Screen, ScreenId, Slot};
use crate::keymap::Action;
use crate::path::ApiPath;
use crate::theme::Look;
use crate::widgets::form::{Field, FieldKind, Form, Values};
use crate::widgets::list::{Column, List, Row};
use crate::widgets::picker::{Picker, PickerItem};
use crate::widgets::reader::Reader;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::json;

static COLUMNS: &[Column] = &[Column::rest("name"), Column::new("state", 8)];

/// The screen.
#[derive(Debug)]
pub(super) struct Toy {
    list: List,
    draft: String,
    is_typing: bool,
    /// What it was told, for tests to look at.
    told: Vec<String>,
}

/// A bench with it on the Apps screen.
pub(super) fn bench() -> Bench {
    let mut bench = Bench::at(ScreenId::Apps);
    let mut list = List::new(COLUMNS);
    list.set(["one", "two", "three"].map(|name| Row::new(name, vec![name.into(), "up".into()])).to_vec());
    bench.put(Box::new(Toy { list, draft: String::new(), is_typing: false, told: Vec::new() }));
    bench
}

/// An answer with a version.
pub(super) fn ok(version: &str) -> Answered {
    Ok(Answer { status: 200, etag: Some(version.to_owned()), body: "{}".into() })
}

fn path(name: &str) -> ApiPath {
    ApiPath::new(&["things", name])
}

impl Screen for Toy {
    fn enter(&mut self, _place: &Place, _cx: &mut Context<'_>) {}

    fn title(&self, _look: &Look) -> String {
        format!("[{}]  {}", self.list.len(), self.told.join(","))
    }

    fn offers(&self) -> Vec<Offer> {
        let chosen = self.list.chosen().len();
        vec![
            Offer::new(Action::New, "new thing"),
            Offer::new(Action::Edit, "change"),
            Offer::new(Action::Delete, if chosen > 1 { format!("delete {chosen}") } else { "delete".to_owned() }),
            Offer::new(Action::Kill, "kill").unless(Some("nothing runs")),
            Offer::new(Action::Info, "info"),
            Offer::new(Action::Sort, "pick"),
            Offer::new(Action::EditOutside, "type"),
        ]
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) -> bool {
        let Some(selected) = self.list.selected_id().map(str::to_owned) else { return false };
        match action {
            Action::Delete => {
                let chosen = self.list.chosen();
                let count = chosen.len();
                let changes = chosen.iter().map(|name| {
                    let change = Change::new(format!("deleted {name}"), Request::delete(path(name)));
                    match count {
                        1 => change.asks("delete", format!("delete {name}: it is gone for good")),
                        _ => change.asks_to_type("delete", format!("delete {count} things for good"), count),
                    }
                });
                cx.changes(changes.collect());
            }
            Action::Edit => {
                let back = Request::put(path(&selected), &json!({"value": 1}));
                let change =
                    Change::new(format!("saved {selected}"), Request::put(path(&selected), &json!({"value": 2})))
                        .undone_by(format!("{selected} is as before"), back)
                        .tag("edit");
                cx.change(change);
            }
            Action::Pause => {
                let change = |name: &&str| {
                    let back = Request::post(path(name), &json!({"paused": false}));
                    Change::new(format!("paused {name}"), Request::put(path(name), &json!({"paused": true})))
                        .undone_anyway_by(format!("{name} goes on"), back)
                };
                cx.changes(self.list.chosen().iter().map(change).collect());
            }
            Action::New => cx.form(
                "new",
                Form::new("New thing", "create")
                    .field(Field::line("name", "Name", "What it is called.").needed())
                    .field(Field::line("loud", "Loud", "Whether it is loud.").kind(FieldKind::Toggle)),
            ),
            Action::Info => cx.read(Reader::new("One", "all that is known\nof one")),
            Action::Sort => {
                let items = vec![
                    PickerItem::new("a", "apple", ""),
                    PickerItem { refused: Some("it is not ripe".to_owned()), ..PickerItem::new("b", "pear", "") },
                ];
                cx.pick("fruit", Picker::new("Fruit", items));
            }
            Action::EditOutside => self.is_typing = true,
            other => return self.list.act(other),
        }
        true
    }

    fn is_typing(&self) -> bool {
        self.is_typing
    }

    fn typed(&mut self, key: crate::app::Key, _cx: &mut Context<'_>) {
        match key {
            crate::app::Key::Esc => self.is_typing = false,
            crate::app::Key::Char(letter) => self.draft.push(letter),
            _ => {}
        }
    }

    fn pasted(&mut self, text: &str, _cx: &mut Context<'_>) {
        self.draft.push_str(text);
    }

    fn filter(&mut self, text: &str, _cx: &mut Context<'_>) {
        self.list.filter(text);
    }

    fn filter_text(&self) -> &str {
        self.list.filter_text()
    }

    fn loaded(&mut self, _slot: &Slot, _answered: Answered, _cx: &mut Context<'_>) {}

    fn changed(&mut self, tag: &'static str, answered: &Answered, _cx: &mut Context<'_>) {
        self.told.push(format!("{tag}:{}", answered.is_ok()));
    }

    fn submitted(&mut self, form: &'static str, values: &Values, cx: &mut Context<'_>) {
        self.told.push(form.to_owned());
        let name = values.get("name");
        if name == "bad" {
            return cx.refuse("bad is no name");
        }
        if name == "deleted" {
            let change = Change::new("deleted it", Request::delete(path("deleted")));
            return cx.change(change.asks("delete", "delete it: it is gone for good"));
        }
        if name != "nothing" {
            cx.change(Change::new(format!("made {name}"), Request::post(path(name), &json!({}))));
        }
    }

    fn picked(&mut self, picker: &'static str, id: &str, _cx: &mut Context<'_>) {
        self.told.push(format!("{picker}={id}"));
    }

    fn reload(&mut self, _cx: &mut Context<'_>) {
        self.told.push("reload".to_owned());
    }

    fn drafts(&self) -> Vec<(String, String)> {
        if self.draft.is_empty() { Vec::new() } else { vec![("toy".to_owned(), self.draft.clone())] }
    }

    fn view(&self, look: &Look, area: Rect, buf: &mut Buffer) {
        self.list.view(look, area, buf, true);
    }
}
