//! What a terminal shows, as SVG: each run of cells with one look is a piece of text of its own.

use super::escape;
use std::fmt::Write as _;

const LINE_PX: usize = 19;
/// Tenths of a pixel a column is wide.
const COLUMN_PX_TENTHS: usize = 84;
const MARGIN_PX: usize = 14;
const FONT_PX: usize = 14;
const PAPER: &str = "#1d2129";
const INK: &str = "#d5dae2";
/// The sixteen colours of a terminal, as they are drawn here.
const COLOURS: [&str; 16] = [
    "#3b4252", "#f47067", "#7ee787", "#e3b341", "#6cb6ff", "#dcbdfb", "#76e3ea", "#d5dae2", "#768390", "#ff938a",
    "#8ddb8c", "#f2cc60", "#96d0ff", "#e8d2ff", "#b3f0ff", "#ffffff",
];

#[derive(Clone, Default, PartialEq, Eq)]
struct Look {
    colour: Option<usize>,
    is_bold: bool,
    is_reversed: bool,
    is_underlined: bool,
}

impl Look {
    /// Takes the numbers of one SGR sequence (ECMA-48, 8.3.117).
    fn take(&mut self, numbers: &str) {
        let mut numbers = numbers.split([';', ':']).map(|number| number.parse::<usize>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.is_bold = true,
                4 => self.is_underlined = true,
                7 => self.is_reversed = true,
                22 => self.is_bold = false,
                24 => self.is_underlined = false,
                27 => self.is_reversed = false,
                30..=37 => self.colour = Some(number - 30),
                38 => {
                    let is_indexed = numbers.next() == Some(5);
                    self.colour = numbers.next().filter(|colour| is_indexed && *colour < COLOURS.len());
                }
                39 => self.colour = None,
                90..=97 => self.colour = Some(number - 90 + 8),
                _ => {}
            }
        }
    }
}

/// Draws lines with their SGR sequences, as `tmux capture-pane -e` prints them, on a terminal so many columns wide.
pub(super) fn draw(lines: &str, columns: usize, title: &str) -> String {
    let count = lines.lines().count();
    let (width, height) = (2 * MARGIN_PX + x_of(columns), 2 * MARGIN_PX + count * LINE_PX);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"{FONT_PX}\">\n\
         <title>{}</title>\n<rect width=\"{width}\" height=\"{height}\" rx=\"9\" fill=\"{PAPER}\"/>\n",
        escape(title)
    );
    let mut look = Look::default();
    for (number, line) in lines.lines().enumerate() {
        let mut column = 0;
        let mut parts = line.split('\u{1b}');
        let first = parts.next().unwrap_or_default();
        column += draw_piece(&mut svg, first, &look, column, number);
        for part in parts {
            let Some((numbers, text)) = part.strip_prefix('[').and_then(|part| part.split_once('m')) else { continue };
            look.take(numbers);
            column += draw_piece(&mut svg, text, &look, column, number);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn x_of(columns: usize) -> usize {
    columns * COLUMN_PX_TENTHS / 10
}

/// Draws text of one look; answers how many columns it took. What is drawn here has no wide characters.
fn draw_piece(svg: &mut String, text: &str, look: &Look, column: usize, line: usize) -> usize {
    let columns = text.chars().count();
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string takes everything");
    let (x, y) = (MARGIN_PX + x_of(column), MARGIN_PX + line * LINE_PX);
    let colour = look.colour.map_or(INK, |colour| COLOURS[colour]);
    if look.is_reversed {
        let width = x_of(column + columns) - x_of(column);
        put(format_args!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{LINE_PX}\" fill=\"{colour}\"/>\n"));
    }
    if text.trim().is_empty() {
        return columns;
    }
    let fill = if look.is_reversed { PAPER } else { colour };
    let weight = if look.is_bold { " font-weight=\"bold\"" } else { "" };
    let line_below = if look.is_underlined { " text-decoration=\"underline\"" } else { "" };
    // Its length is said, so that a font of another width does not push the pieces apart.
    let length = x_of(column + columns) - x_of(column);
    put(format_args!(
        "<text x=\"{x}\" y=\"{}\" fill=\"{fill}\"{weight}{line_below} textLength=\"{length}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>\n",
        y + FONT_PX,
        escape(text)
    ));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_is_a_piece_at_its_column() {
        let svg = draw("ab\u{1b}[1;32mcd\u{1b}[0m\u{1b}[7me<\u{1b}[0m\n", 10, "a & b");
        for piece in [
            "<title>a &amp; b</title>",
            ">ab</text>",
            "x=\"30\" y=\"28\" fill=\"#7ee787\" font-weight=\"bold\"",
            "<rect x=\"47\" y=\"14\" width=\"17\" height=\"19\" fill=\"#d5dae2\"/>",
            "fill=\"#1d2129\" textLength=\"17\"",
            ">e&lt;</text>",
        ] {
            assert!(svg.contains(piece), "{piece} in\n{svg}");
        }
    }
}
