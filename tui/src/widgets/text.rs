//! Text on a terminal: how wide it is, where it is cut, and what must not get there.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Asks for an emoji's picture; terminals disagree about how wide that makes it.
const VARIATION_SELECTOR_16: char = '\u{fe0f}';

/// Text from outside as it may be shown: control characters as `^X`, no variation selectors, no direction marks.
pub(crate) fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            VARIATION_SELECTOR_16 | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            '\0'..='\u{1f}' => {
                shown.push('^');
                shown.push(char::from(u8::try_from(u32::from(letter)).expect("it is below 32") + b'@'));
            }
            '\u{7f}' => shown.push_str("^?"),
            '\u{80}'..='\u{9f}' => shown.push('?'),
            other => shown.push(other),
        }
    }
    shown
}

/// How many columns it takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// As much of it as fits into `columns`; what was cut off is told by `more` at its end.
pub(crate) fn cut(text: &str, columns: usize, more: &str) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width(more));
    let mut used = 0;
    let mut shown = String::new();
    for cluster in text.graphemes(true) {
        let wide = width(cluster);
        if used + wide > room {
            break;
        }
        used += wide;
        shown.push_str(cluster);
    }
    if columns >= width(more) {
        shown.push_str(more);
    }
    shown
}

/// Text that is clean already, in lines of at most `columns`, broken at blanks where there are any.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut rest = text;
    while width(rest) > columns {
        let mut used = 0;
        let mut hard = 0;
        let mut blank = None;
        for (at, cluster) in rest.grapheme_indices(true) {
            let wide = width(cluster);
            if cluster == " " && at > 0 {
                blank = Some(at);
            }
            if used + wide > columns {
                break;
            }
            used += wide;
            hard = at + cluster.len();
        }
        // A cluster that is wider than the line stands alone on it.
        let hard = if hard == 0 { rest.graphemes(true).next().map_or(rest.len(), str::len) } else { hard };
        let end = blank.unwrap_or(hard);
        lines.push(rest[..end].to_owned());
        rest = &rest[end..];
        if blank.is_some() {
            rest = rest.trim_start_matches(' ');
        }
    }
    if !rest.is_empty() || lines.is_empty() {
        lines.push(rest.to_owned());
    }
    lines
}

/// Writes text that is clean already at `x`, `y`, at most `columns` wide and within `area`; answers the column after it.
pub(crate) fn put(buf: &mut Buffer, area: Rect, (x, y): (u16, u16), text: &str, columns: usize, style: Style) -> u16 {
    if y < area.top() || y >= area.bottom() || x >= area.right() || x < area.left() {
        return x;
    }
    let room = usize::from(area.right() - x).min(columns);
    buf.set_stringn(x, y, text, room, style).0
}

/// A size as people read it, in at most six columns: `412 B`, `1.2 KB`.
pub(crate) fn bytes(size: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let mut scaled = size;
    let mut rest = 0;
    let mut unit = 0;
    while scaled >= 1000 && unit + 1 < UNITS.len() {
        rest = scaled % 1000 / 100;
        scaled /= 1000;
        unit += 1;
    }
    if unit > 0 && scaled < 10 {
        format!("{scaled}.{rest} {}", UNITS[unit])
    } else {
        format!("{scaled} {}", UNITS[unit])
    }
}

/// How long something took or takes: `840 us`, `23 ms`, `5.0 s`, `3 min`, `2 h`, `12 d`.
pub(crate) fn duration(us: u64) -> String {
    const MS: u64 = 1000;
    const S: u64 = 1000 * MS;
    match us {
        0..MS => format!("{us} us"),
        MS..S => format!("{} ms", us / MS),
        S.. if us < 60 * S => format!("{}.{} s", us / S, us % S / (S / 10)),
        _ if us < 3600 * S => format!("{} min", us / (60 * S)),
        _ if us < 48 * 3600 * S => format!("{} h", us / (3600 * S)),
        _ => format!("{} d", us / (24 * 3600 * S)),
    }
}

/// How long ago `then` was: `now`, `14 min`; times to come have a `+`.
pub(crate) fn age(now_unix_ms: i64, then_unix_ms: i64) -> String {
    let ms = now_unix_ms - then_unix_ms;
    if ms.unsigned_abs() < 1000 {
        return "now".to_owned();
    }
    let text = duration(ms.unsigned_abs() / 1000 * 1_000_000);
    let text = text.replace(".0 s", " s");
    if ms < 0 { format!("+{text}") } else { text }
}

/// The time of day where the program runs: `12:04:31`.
pub(crate) fn time_of_day(unix_ms: i64, zone: &jiff::tz::TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(unix_ms) else { return "?".to_owned() };
    at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()
}

/// A time in a list, in at most eleven columns: `12:04:31` where it is of today, else `11-21 12:04`.
pub(crate) fn moment(now_unix_ms: i64, unix_ms: i64, zone: &jiff::tz::TimeZone) -> String {
    let local = |ms: i64| jiff::Timestamp::from_millisecond(ms).map(|at| at.to_zoned(zone.clone())).ok();
    let (Some(now), Some(at)) = (local(now_unix_ms), local(unix_ms)) else { return "?".to_owned() };
    let format = if now.date() == at.date() { "%H:%M:%S" } else { "%m-%d %H:%M" };
    at.strftime(format).to_string()
}

/// A day, with its year: for what may be long ago, or long to come.
pub(crate) fn day(unix_ms: i64, zone: &jiff::tz::TimeZone) -> String {
    let Ok(at) = jiff::Timestamp::from_millisecond(unix_ms) else { return "?".to_owned() };
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_move_the_cursor_is_shown_instead() {
        assert_eq!(clean("a\tb\x1b[2J\u{7f}\u{9b}c\u{202e}d\u{2764}\u{fe0f}"), "a^Ib^[[2J^??cd\u{2764}");
    }

    #[test]
    fn text_is_cut_between_clusters_and_says_so() {
        for (text, columns, shown) in [
            ("hello", 5, "hello"),
            ("hello", 4, "hel~"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本~"),
            ("日本語", 4, "日~"),
            ("hello", 1, "~"),
            ("hello", 0, ""),
        ] {
            assert_eq!(cut(text, columns, "~"), shown, "{text} in {columns}");
        }
    }

    #[test]
    fn text_is_broken_at_blanks_where_there_are_any() {
        for (text, columns, lines) in [
            ("", 5, vec![""]),
            ("one two three", 7, vec!["one two", "three"]),
            ("one two three", 8, vec!["one two", "three"]),
            ("onetwothree", 4, vec!["onet", "woth", "ree"]),
            ("日本語", 4, vec!["日本", "語"]),
            ("日本", 1, vec!["日", "本"]),
            (" indented text", 9, vec![" indented", "text"]),
        ] {
            assert_eq!(wrap(text, columns), lines, "{text} in {columns}");
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (size, text) in [(0, "0 B"), (999, "999 B"), (1_234, "1.2 KB"), (12_345, "12 KB"), (9_990_000, "9.9 MB")] {
            assert_eq!(bytes(size), text);
        }
        for (us, text) in [(840, "840 us"), (23_400, "23 ms"), (5_000_000, "5.0 s"), (200_000_000, "3 min")] {
            assert_eq!(duration(us), text);
        }
        for (ago, text) in [(400, "now"), (5_000, "5 s"), (-90_000, "+1 min"), (14 * 60_000, "14 min")] {
            assert_eq!(age(1_000_000, 1_000_000 - ago), text);
        }
    }
}
