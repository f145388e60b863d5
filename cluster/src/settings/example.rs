//! The settings file that a program is delivered with: every setting, its default, and what it is for; all commented out.

use super::{Shape, Table};

/// Wider comments are broken, for a terminal.
const WIDTH_MAX: usize = 100;

impl<S> Table<S> {
    /// The text of the file. `defaults` must not depend on the machine: the same package has the same file.
    pub fn example(&self, program: &str, defaults: &S) -> String {
        let mut text = format!(
            "# Settings of {program}. Everything here is commented out: what stands behind `=` is what holds anyway,\n\
             # or an example where the name is in capitals. A variable PICLOUD_NAME or a flag --name wins over this file.\n\
             # The program refuses to start with a name or value it does not know, and says which line it is.\n"
        );
        for row in self.rows {
            text.push('\n');
            for line in broken(row.doc) {
                text.push_str(&format!("# {line}\n"));
            }
            let shown = (row.show)(defaults);
            let value = match (row.shape, shown.is_empty()) {
                (Shape::Text, true) => format!("\"{}\"", row.value_name),
                (Shape::Text, false) => toml::Value::String(shown).to_string(),
                (Shape::Number | Shape::Switch, true) => row.value_name.to_owned(),
                (Shape::Number | Shape::Switch, false) => shown,
            };
            text.push_str(&format!("#{} = {value}\n", row.key));
        }
        text
    }
}

/// Lines of whole words.
fn broken(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line from the start");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + 1 + word.len() <= WIDTH_MAX {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn comments_are_broken_between_words() {
        assert_eq!(broken("one  two"), ["one two"]);
        let long = "word ".repeat(30);
        let lines = broken(&long);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= 100 && !line.ends_with(' ')), "{lines:?}");
    }
}
