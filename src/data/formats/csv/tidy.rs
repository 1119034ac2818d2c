//! Text before its lines are taken apart: without comments, without white space before quotes, with single spaces.

use std::borrow::Cow;

use super::Csv;

/// What the next character of a line belongs to.
#[derive(PartialEq)]
enum At {
    /// A cell, of which there is nothing yet but white space.
    Begin,
    Cell,
    Quotes,
    /// A quote that ends a cell, or is the first of two.
    Quote,
    Comment,
}

impl Csv {
    /// The text without what the rows do not hold. Lines stay where they are.
    pub(super) fn tidy<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let before_quote = |quote| {
            let mut ends = text.match_indices(char::from(quote));
            ends.any(|(i, _)| text[..i].ends_with([' ', '\t']))
        };
        let text = if self.comment.is_some() || self.quote.is_some_and(before_quote) {
            Cow::Owned(self.without_comments(text))
        } else {
            Cow::Borrowed(text)
        };
        if self.spaces { Cow::Owned(single_spaces(&text, self.quote)) } else { text }
    }

    /// The text without comments and without white space before a cell in quotes.
    fn without_comments(&self, text: &str) -> String {
        let is = |byte: Option<u8>, c: char| byte.is_some_and(|byte| char::from(byte) == c);
        let parts = |c: char| is(Some(self.delimiter), c) || (self.spaces && c == '\t');
        let (mut out, mut at, mut cell) = (String::with_capacity(text.len()), At::Begin, 0);
        for c in text.chars() {
            let line_end = matches!(c, '\n' | '\r');
            at = match at {
                At::Quotes if is(self.quote, c) => At::Quote,
                At::Quotes => At::Quotes,
                At::Quote if is(self.quote, c) => At::Quotes,
                At::Comment if !line_end => continue,
                _ if !line_end && is(self.comment, c) => {
                    at = At::Comment;
                    continue;
                }
                _ if line_end || parts(c) => At::Begin,
                At::Begin if is(self.quote, c) => {
                    out.truncate(cell);
                    At::Quotes
                }
                At::Begin if c == ' ' || c == '\t' => At::Begin,
                _ => At::Cell,
            };
            out.push(c);
            if at == At::Begin && (line_end || parts(c)) {
                cell = out.len();
            }
        }
        out
    }
}

/// The text with every run of spaces and tabs outside of quotes as one space, and none at the ends of lines.
fn single_spaces(text: &str, quote: Option<u8>) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut pending) = (false, false);
    for c in text.chars() {
        if !inside && (c == ' ' || c == '\t') {
            pending = true;
            continue;
        }
        let begins_line = out.is_empty() || out.ends_with(['\n', '\r']);
        if pending && !begins_line && !matches!(c, '\n' | '\r') {
            out.push(' ');
        }
        pending = false;
        // Quotes do not reach over lines here: a single one in a comment would turn all that follows around.
        inside = c != '\n' && inside ^ quote.is_some_and(|q| char::from(q) == c);
        out.push(c);
    }
    out
}
