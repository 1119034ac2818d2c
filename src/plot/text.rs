//! Text in pictures: how wide it is, and what is left of it where there is no room.

/// The advance of the characters from space to tilde, in thousandths of the font's size: DejaVu Sans, with which PNG files
/// are drawn. It is wider than most fonts, so that what fits in it fits in the font of whoever looks at an SVG.
const ADVANCES: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636,
    636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863,
    748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635,
    615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636,
    337, 636, 838,
];

/// The width of `text` at `size` pixels.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let advance = |c: char| match (c as u32).checked_sub(0x20).and_then(|index| ADVANCES.get(index as usize)) {
        Some(&advance) => advance,
        // Accented Latin, Greek and Cyrillic letters are narrower than this; beyond them come ideographs.
        None if (c as u32) < 0x2000 => 850,
        None => 1000,
    };
    text.chars().map(|c| f64::from(advance(c))).sum::<f64>() * size / 1000.0
}

/// `text` in one line, without what XML forbids.
pub(super) fn clean(text: &str) -> String {
    let clean = |c: char| if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') { ' ' } else { c };
    text.chars().map(clean).collect()
}

/// As much of the beginning of `text` as fits into `most` pixels at `size` pixels, with an ellipsis where it was cut.
pub(super) fn fit(text: &str, size: f64, most: f64) -> String {
    let text = clean(text);
    if width(&text, size) <= most {
        return text;
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short, size) + size > most {
            short.pop();
            break;
        }
    }
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// `text` in at most `lines` lines of `most` pixels each, broken between words where there are any; what does not fit into
/// the last line is cut.
pub(super) fn wrap(text: &str, size: f64, most: f64, lines: usize) -> Vec<String> {
    let text = clean(text);
    let mut out: Vec<String> = Vec::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if out.len() + 1 >= lines {
            let rest: Vec<&str> = std::iter::once(word).chain(words).collect();
            let last = out.last().map_or(String::new(), |line| format!("{line} {}", rest.join(" ")));
            if lines == out.len() + 1 && !last.is_empty() && width(&last, size) <= most {
                out.pop();
                out.push(last);
            } else {
                out.push(fit(&rest.join(" "), size, most));
            }
            break;
        }
        let mut line = word.to_owned();
        while let Some(next) = words.peek() {
            let longer = format!("{line} {next}");
            if width(&longer, size) > most {
                break;
            }
            line = longer;
            words.next();
        }
        out.push(fit(&line, size, most));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_to_its_room() {
        assert_eq!(fit("a\nb\u{0}", 10.0, 100.0), "a b ");
        assert_eq!(fit("1234567890", 10.0, 64.0), "1234567890");
        assert_eq!(fit("12345678901", 10.0, 64.0), "12345…");
        for text in ["mmmmmmmmmmmm", "iiiiiiiiiiiiiiiiiiiiiiiiiiii", "ÄÖÜäöüßÄÖÜäöüß", "腫瘍腫瘍腫瘍腫瘍"]
        {
            let short = fit(text, 12.0, 60.0);
            assert!(width(&short, 12.0) <= 60.0 && short.ends_with('…'), "{short}");
        }
        assert_eq!(fit("abc", 12.0, 0.0), "…");
    }

    #[test]
    fn words_go_to_the_next_line() {
        assert_eq!(wrap("one two three", 10.0, 60.0, 3), ["one two", "three"]);
        assert_eq!(wrap("one two three four five six", 10.0, 60.0, 2), ["one two", "three four…"]);
        assert_eq!(wrap("unbreakable", 10.0, 40.0, 2), ["unb…"]);
        assert_eq!(wrap("one two", 10.0, 100.0, 1), ["one two"]);
        assert!(wrap("", 10.0, 60.0, 2).is_empty());
    }
}
