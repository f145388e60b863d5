//! Looks: what a terminal can show, and the styles by what they mean. Colour never carries a meaning alone.

use ratatui::style::{Color, Modifier, Style};

/// What the terminal can do; found out once, at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    /// Colours.
    pub(crate) color: ColorDepth,
    /// Whether it shows more than ASCII.
    pub(crate) utf8: bool,
    /// Whether the person is at the other end of an SSH connection: frames are dear, files are elsewhere.
    pub(crate) in_ssh: bool,
    /// Whether this is the login shell: there is nothing to suspend to.
    pub(crate) is_login_shell: bool,
    /// Whether it tells of clicks, where it is asked to.
    pub(crate) points: bool,
}

/// How many colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColorDepth {
    /// None: `NO_COLOR`, or a terminal without.
    None,
    /// The terminal's own sixteen.
    Ansi16,
    /// All.
    Rgb,
}

/// Which colours a person likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ThemeName {
    /// The terminal's own.
    #[default]
    Terminal,
    /// For dark terminals.
    Dark,
    /// For light terminals.
    Light,
    /// As much contrast as there is.
    Contrast,
}

impl ThemeName {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[Self::Terminal, Self::Dark, Self::Light, Self::Contrast];

    /// Its name, as it is kept and typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Contrast => "contrast",
        }
    }

    /// The one of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|theme| theme.name() == name)
    }
}

/// What text means, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Ordinary text.
    Plain,
    /// Headings and names.
    Strong,
    /// What matters less.
    Faint,
    /// What is well.
    Good,
    /// What asks for a look.
    Warn,
    /// What is broken.
    Bad,
    /// What can be opened: names of things elsewhere.
    Link,
    /// The name of what is selected, and the screen one is on.
    Selected,
    /// What matched the filter.
    Hit,
    /// Keywords of a script.
    Keyword,
    /// Strings of a script.
    Text,
    /// Numbers of a script.
    Number,
    /// Comments of a script.
    Comment,
    /// Names of functions and namespaces of a script.
    Call,
    /// What a version added.
    Added,
    /// What a version removed.
    Removed,
}

/// Everything that decides how things look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// What the terminal can do.
    pub(crate) caps: Caps,
    /// What the person likes.
    pub(crate) theme: ThemeName,
    /// Milliseconds since 1970: for ages.
    pub(crate) unix_ms: i64,
    /// Which frame is drawn: what remembers where it stands says so with it.
    pub(crate) frame: u64,
}

/// Signs of which the ASCII one stands in where the terminal shows no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signs {
    /// Between a list and its detail.
    pub(crate) bar: &'static str,
    /// A rule.
    pub(crate) rule: &'static str,
    /// A branch that can be opened.
    pub(crate) closed: &'static str,
    /// A branch that is open.
    pub(crate) open: &'static str,
    /// What was left out.
    pub(crate) more: &'static str,
    /// Between things that follow each other.
    pub(crate) then: &'static str,
    /// Corners of a frame: top left, top right, bottom left, bottom right.
    pub(crate) corners: [&'static str; 4],
    /// Heights of a chart, lowest first.
    pub(crate) chart: &'static [&'static str],
}

const UTF8: Signs = Signs {
    bar: "│",
    rule: "─",
    closed: "▸",
    open: "▾",
    more: "…",
    then: "›",
    corners: ["┌", "┐", "└", "┘"],
    chart: &[" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
};
const ASCII: Signs = Signs {
    bar: "|",
    rule: "-",
    closed: "+",
    open: "-",
    more: "~",
    then: ">",
    corners: ["+"; 4],
    chart: &[" ", ".", ":", "|"],
};

impl Look {
    /// The signs of this terminal.
    pub(crate) fn signs(&self) -> Signs {
        if self.caps.utf8 { UTF8 } else { ASCII }
    }

    /// How text of this meaning looks.
    pub(crate) fn ink(&self, ink: Ink) -> Style {
        let plain = Style::new();
        let shape = match ink {
            Ink::Strong | Ink::Bad | Ink::Keyword => plain.add_modifier(Modifier::BOLD),
            Ink::Selected => plain.add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Ink::Link | Ink::Hit => plain.add_modifier(Modifier::UNDERLINED),
            _ => plain,
        };
        match self.color(ink) {
            Some(color) if self.caps.color != ColorDepth::None => shape.fg(color),
            _ => shape,
        }
    }

    fn color(&self, ink: Ink) -> Option<Color> {
        let light = self.theme == ThemeName::Light;
        let contrast = self.theme == ThemeName::Contrast;
        Some(match ink {
            Ink::Plain | Ink::Strong | Ink::Selected | Ink::Link => return None,
            // Bright black is not to be read on every terminal's own palette; plain text is.
            Ink::Faint | Ink::Comment => match self.theme {
                ThemeName::Dark => Color::Gray,
                ThemeName::Light => Color::DarkGray,
                ThemeName::Terminal | ThemeName::Contrast => return None,
            },
            Ink::Good | Ink::Added | Ink::Text if contrast => return None,
            Ink::Good | Ink::Added | Ink::Text => Color::Green,
            Ink::Warn | Ink::Hit | Ink::Number if light => Color::Magenta,
            Ink::Warn | Ink::Hit | Ink::Number => Color::Yellow,
            Ink::Bad | Ink::Removed => Color::Red,
            Ink::Keyword => Color::Blue,
            Ink::Call => Color::Cyan,
        })
    }
}
