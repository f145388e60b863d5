//! The lines of the tree: computed anew when something opens, closes or comes, and only numbers, so that a hundred
//! thousand of them are cheap.

use super::shelf::{Branch, Collection, Shelf};
use std::ops::Range;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// An app.
    App { app: u32 },
    /// A collection of it.
    Collection { app: u32, collection: u32 },
    /// Keys `from..to`, which have their first `bytes` bytes in common, a `/` being the last of them; what is shown
    /// begins at `shown`.
    Prefix { app: u32, collection: u32, from: u32, to: u32, shown: u32, bytes: u32, depth: u16 },
    /// A key, of which is shown what follows `shown`.
    Key { app: u32, collection: u32, at: u32, shown: u32, depth: u16 },
    /// What stands for keys that are not read yet, or none that are there.
    Rest { app: u32, collection: u32 },
    /// What stands for collections that are not read yet, or none that are there.
    Empty { app: u32 },
}

/// What a line is about, also when other lines come and go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// An app.
    App(String),
    /// A collection.
    Collection(String, String),
    /// Keys that begin so.
    Prefix(String, String, String),
    /// A key.
    Key(String, String, String),
    /// What is not read yet.
    Rest(String, String),
    /// What is not there.
    Empty(String),
}

impl Target {
    /// Its app.
    pub(super) fn app(&self) -> &str {
        match self {
            Self::App(app)
            | Self::Collection(app, _)
            | Self::Prefix(app, ..)
            | Self::Key(app, ..)
            | Self::Rest(app, _)
            | Self::Empty(app) => app,
        }
    }

    /// What its value is called while it is edited elsewhere: the end of the key, without what a path could trip over.
    pub(super) fn file_name(&self) -> String {
        let key = match self {
            Self::Key(_, _, key) => key.rsplit('/').next().unwrap_or_default(),
            _ => "",
        };
        let plain: String = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let plain = plain.get(..plain.len().min(60)).unwrap_or_default();
        if plain.is_empty() { "value.json".to_owned() } else { format!("{plain}.json") }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::App(name) | Self::Empty(name) => name,
            Self::Collection(_, name) | Self::Rest(_, name) => name,
            Self::Prefix(_, _, name) | Self::Key(_, _, name) => name,
        }
    }

    /// The collection it is in, or is.
    pub(super) fn around(&self) -> Option<Self> {
        self.collection().map(|(app, name)| Self::Collection(app.to_owned(), name.to_owned()))
    }

    /// Its app and collection, where it has one.
    pub(super) fn collection(&self) -> Option<(&str, &str)> {
        match self {
            Self::App(_) | Self::Empty(_) => None,
            Self::Collection(app, collection)
            | Self::Prefix(app, collection, _)
            | Self::Key(app, collection, _)
            | Self::Rest(app, collection) => Some((app, collection)),
        }
    }
}

/// What is shown of names: all, those that have a text, those that have not, those that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Filter {
    /// All.
    #[default]
    All,
    /// With this text, in lower case.
    Has(String),
    /// Without it.
    HasNot(String),
    /// Keys that begin so, which the appliance finds.
    Begins(String),
}

impl Filter {
    /// As a person types it.
    pub(super) fn of(text: &str) -> Self {
        match text.split_at_checked(1) {
            Some(("^", rest)) => Self::Begins(rest.to_owned()),
            Some(("!", "")) => Self::All,
            Some(("!", rest)) => Self::HasNot(rest.to_lowercase()),
            Some(_) => Self::Has(text.to_lowercase()),
            None => Self::All,
        }
    }

    /// Whether a key passes.
    fn passes(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Has(text) => key.to_lowercase().contains(text),
            Self::HasNot(text) => !key.to_lowercase().contains(text),
            Self::Begins(text) => key.starts_with(text),
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// All lines, in the room of those before.
pub(super) fn of(shelf: &Shelf, filter: &Filter, mut lines: Vec<Line>) -> Vec<Line> {
    lines.clear();
    for (app, branch) in shelf.apps.iter().flatten().enumerate() {
        let app = number(app);
        lines.push(Line::App { app });
        if branch.is_open {
            of_app(&mut lines, app, branch, filter);
        }
    }
    lines
}

fn of_app(lines: &mut Vec<Line>, app: u32, branch: &Branch, filter: &Filter) {
    let collections = branch.collections.as_deref().unwrap_or_default();
    if collections.is_empty() {
        lines.push(Line::Empty { app });
    }
    for (index, collection) in collections.iter().enumerate() {
        let line = Line::Collection { app, collection: number(index) };
        let before = lines.len();
        lines.push(line);
        if collection.is_open {
            of_collection(lines, (app, number(index)), collection, filter);
        }
        // What neither is called so nor holds such keys is not what is looked for.
        let is_bare = lines.len() == before + 1;
        let is_named = matches!(filter, Filter::All | Filter::Begins(_)) || filter.passes(&collection.counted.name);
        if is_bare && !is_named {
            lines.pop();
        }
    }
}

fn of_collection(lines: &mut Vec<Line>, (app, collection): (u32, u32), known: &Collection, filter: &Filter) {
    if *filter == Filter::All {
        level(lines, (app, collection), known, 0..known.entries.len(), (0, 2));
    } else {
        let found = known.entries.iter().enumerate().filter(|(_, entry)| filter.passes(&entry.key));
        lines.extend(found.map(|(at, _)| Line::Key { app, collection, at: number(at), shown: 0, depth: 2 }));
    }
    if !known.is_whole || known.entries.is_empty() {
        lines.push(Line::Rest { app, collection });
    }
}

/// Keys `range`, which have their first `shown` bytes in common. A prefix that is closed is one line, however many keys
/// it has; those that are open go a level deeper, as deep as a person opened them.
fn level(
    lines: &mut Vec<Line>,
    (app, collection): (u32, u32),
    known: &Collection,
    range: Range<usize>,
    (shown, depth): (usize, u16),
) {
    let mut at = range.start;
    while at < range.end {
        let key = &*known.entries[at].key;
        // A `/` at the very end makes no prefix: there would be nothing to show behind it.
        let slash = key[shown..].find('/').map(|slash| shown + slash + 1).filter(|bytes| *bytes < key.len());
        let Some(bytes) = slash else {
            lines.push(Line::Key { app, collection, at: number(at), shown: number(shown), depth });
            at += 1;
            continue;
        };
        let prefix = &key[..bytes];
        let to = at + known.entries[at..range.end].partition_point(|entry| entry.key.starts_with(prefix));
        let (from, shown, ends) = (number(at), number(shown), number(bytes));
        lines.push(Line::Prefix { app, collection, from, to: number(to), shown, bytes: ends, depth });
        if known.open.contains(prefix) {
            level(lines, (app, collection), known, at..to, (bytes, depth.saturating_add(1)));
        }
        at = to;
    }
}

#[cfg(test)]
mod tests {
    use super::super::shelf::Listed;
    use super::*;
    use picloud_model::kv::KvCollection;
    use picloud_model::page::Page;

    fn listed(key: &str) -> Listed {
        Listed { key: key.to_owned(), value: None, version: 1, updated_at: 0, expires_at: None }
    }

    fn page(keys: &[&str], cursor: Option<&str>) -> Page<Listed> {
        Page { items: keys.iter().map(|key| listed(key)).collect(), cursor: cursor.map(str::to_owned) }
    }

    fn shelf(keys: &[&str], open: &[&str]) -> Shelf {
        let mut shelf = Shelf::default();
        shelf.take_apps(vec!["blog".to_owned()]);
        let counted = KvCollection { name: "posts".to_owned(), keys: 9, size_bytes: 9 };
        shelf.take_collections("blog", vec![counted]);
        shelf.app_mut("blog").unwrap().is_open = true;
        let posts = shelf.collection_mut("blog", "posts").unwrap();
        posts.is_open = true;
        posts.open = open.iter().map(|prefix| (*prefix).to_owned()).collect();
        posts.absorb(&page(keys, None));
        shelf
    }

    /// Lines as a person would see them.
    fn shown(shelf: &Shelf, filter: &str) -> Vec<String> {
        let known = shelf.collection("blog", "posts").unwrap();
        let line = |line: Line| match line {
            Line::App { .. } => "app".to_owned(),
            Line::Collection { .. } => "collection".to_owned(),
            Line::Prefix { from, to, shown, bytes, depth, .. } => {
                let name = &known.entries[from as usize].key[shown as usize..bytes as usize];
                format!("{depth} {name} {}", to - from)
            }
            Line::Key { at, shown, depth, .. } => {
                format!("{depth} {}", &known.entries[at as usize].key[shown as usize..])
            }
            Line::Rest { .. } => "rest".to_owned(),
            Line::Empty { .. } => "empty".to_owned(),
        };
        of(shelf, &Filter::of(filter), Vec::new()).into_iter().map(line).collect()
    }

    const KEYS: [&str; 7] = ["a", "d/", "d/x", "d/y/1", "d/y/2", "dd", "ü/ö"];

    #[test]
    fn keys_stand_below_what_they_have_in_common() {
        assert_eq!(shown(&shelf(&KEYS, &[]), ""), ["app", "collection", "2 a", "2 d/", "2 d/ 3", "2 dd", "2 ü/ 1"]);
        let open =
            ["app", "collection", "2 a", "2 d/", "2 d/ 3", "3 x", "3 y/ 2", "4 1", "4 2", "2 dd", "2 ü/ 1", "3 ö"];
        assert_eq!(shown(&shelf(&KEYS, &["d/", "d/y/", "ü/"]), ""), open);
        assert_eq!(shown(&shelf(&[], &[]), ""), ["app", "collection", "rest"]);
    }

    #[test]
    fn a_filter_shows_whole_keys_wherever_they_are() {
        assert_eq!(shown(&shelf(&KEYS, &[]), "Y/"), ["app", "collection", "2 d/y/1", "2 d/y/2"]);
        assert_eq!(shown(&shelf(&KEYS, &[]), "!d"), ["app", "collection", "2 a", "2 ü/ö"]);
        assert_eq!(shown(&shelf(&KEYS, &[]), "^d/y/2"), ["app", "collection", "2 d/y/2"]);
        assert_eq!(shown(&shelf(&KEYS, &[]), "none"), ["app"]);
        assert_eq!(shown(&shelf(&KEYS, &[]), "post"), ["app", "collection"], "a collection is found by its name");
    }

    #[test]
    fn a_page_says_all_there_is_between_the_one_before_and_its_last_key() {
        let mut shelf = shelf(&["a", "b", "c", "d"], &[]);
        let posts = shelf.collection_mut("blog", "posts").unwrap();
        let keys = |posts: &Collection| posts.entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>();
        posts.restart();
        posts.absorb(&page(&["a", "bb"], Some("1")));
        assert_eq!(keys(posts), ["a", "bb", "c", "d"], "b is gone; what comes behind bb is not known yet");
        assert!(posts.has_stale() && !posts.is_whole);
        posts.absorb(&page(&["d", "e"], Some("2")));
        assert_eq!(keys(posts), ["a", "bb", "d", "e"]);
        assert!(!posts.has_stale());
        posts.put(&listed("f"));
        assert_eq!(keys(posts).len(), 4, "beyond what was read it comes with its page");
        posts.absorb(&page(&["f"], None));
        posts.put(&listed("g"));
        posts.remove("a");
        assert_eq!(keys(posts), ["bb", "d", "e", "f", "g"]);
        posts.restart();
        posts.absorb(&page(&[], None));
        assert!(keys(posts).is_empty() && posts.is_whole);
    }
}
