//! The WGSL template language: the one place where shader text is filled in.
//!
//! - `#include "name"` puts `shaders/shared/<name>.wgsl` there;
//! - `${expr}` is replaced by a definition, a loop variable, or integer arithmetic (`+ - * / %`, parentheses) over them;
//! - `#for i in a..b` … `#end` repeats the lines between, which is how registers are unrolled (naga takes no override-sized
//!   private arrays, and drivers do not unroll what naga emits for loops);
//! - `#if NAME` / `#if NAME == value` … `#else` … `#end` keeps lines when the definition is there and not `0`, or equals the value.
//!
//! A mistake in a template is an error that shows the line; `tests/contract.rs` expands every variant of ours.

use crate::error::{Error, Result};

/// Invocations per workgroup of the kernels that handle one element each: `${GROUP}` in a template.
pub const GROUP_SIZE: usize = 64;

const SHARED: &[(&str, &str)] = &[
    ("index", include_str!("../../shaders/shared/index.wgsl")),
    ("activations", include_str!("../../shaders/shared/activations.wgsl")),
    ("blocks", include_str!("../../shaders/shared/blocks.wgsl")),
    ("bits", include_str!("../../shaders/shared/bits.wgsl")),
    ("conv_moments", include_str!("../../shaders/shared/conv_moments.wgsl")),
    ("conv_tiled", include_str!("../../shaders/shared/conv_tiled.wgsl")),
    ("conv_window", include_str!("../../shaders/shared/conv_window.wgsl")),
    ("column", include_str!("../../shaders/shared/column.wgsl")),
    ("math", include_str!("../../shaders/shared/math.wgsl")),
    ("parts", include_str!("../../shaders/shared/parts.wgsl")),
    ("pool", include_str!("../../shaders/shared/pool.wgsl")),
    ("ratio", include_str!("../../shaders/shared/ratio.wgsl")),
    ("recurrent", include_str!("../../shaders/shared/recurrent.wgsl")),
    ("threefry", include_str!("../../shaders/shared/threefry.wgsl")),
    ("clock", include_str!("../../shaders/shared/clock.wgsl")),
    ("normal", include_str!("../../shaders/shared/normal.wgsl")),
    ("rows", include_str!("../../shaders/shared/rows.wgsl")),
    ("moments", include_str!("../../shaders/shared/moments.wgsl")),
    ("tile", include_str!("../../shaders/shared/tile.wgsl")),
    ("tile_begin", include_str!("../../shaders/shared/tile_begin.wgsl")),
    ("tile_multiply", include_str!("../../shaders/shared/tile_multiply.wgsl")),
    ("merged_sums", include_str!("../../shaders/shared/merged_sums.wgsl")),
];

type Scope = Vec<(String, String)>;

/// `template` with its definitions, loops, conditions and includes filled in.
///
/// # Errors
/// [`Error::Parameter`] on a mistake in the template, with the line.
pub fn expand(template: &str, defines: &[(&'static str, String)]) -> Result<String> {
    let mut scope: Scope = vec![("GROUP".into(), GROUP_SIZE.to_string())];
    scope.extend(defines.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    let lines: Vec<&str> = template.lines().collect();
    let mut out = String::with_capacity(template.len() * 2);
    block(&lines, &mut scope, &mut out)?;
    Ok(out)
}

fn mistake(expected: &str, line: &str) -> Error {
    Error::parameter("a WGSL template", "a line", expected, format!("\"{}\"", line.trim()))
}

fn block(lines: &[&str], scope: &mut Scope, out: &mut String) -> Result<()> {
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let directive = line.trim_start();
        if let Some(name) = directive.strip_prefix("#include ") {
            let name = name.trim().trim_matches('"');
            let found = SHARED.iter().find(|(n, _)| *n == name);
            let (_, text) = found.ok_or_else(|| mistake("an #include of a file in shaders/shared", line))?;
            block(&text.lines().collect::<Vec<_>>(), scope, out)?;
        } else if let Some(head) = directive.strip_prefix("#for ") {
            let (_, end) = body(lines, at)?;
            let parts = head.split_once(" in ").and_then(|(name, range)| Some((name, range.split_once("..")?)));
            let (name, (a, b)) = parts.ok_or_else(|| mistake("\"#for NAME in A..B\"", line))?;
            for i in value(a, scope)?..value(b, scope)? {
                scope.push((name.trim().to_owned(), i.to_string()));
                block(&lines[at + 1..end], scope, out)?;
                scope.pop();
            }
            at = end;
        } else if let Some(condition) = directive.strip_prefix("#if ") {
            let (middle, end) = body(lines, at)?;
            let chosen = if holds(condition, scope) { at + 1..middle } else { (middle + 1).min(end)..end };
            block(&lines[chosen], scope, out)?;
            at = end;
        } else {
            substitute(line, scope, out)?;
            out.push('\n');
        }
        at += 1;
    }
    Ok(())
}

/// Where the directive at `at` has its `#else` (or else its `#end`), and its `#end`.
fn body(lines: &[&str], at: usize) -> Result<(usize, usize)> {
    let (mut depth, mut middle) = (0, None);
    for (i, line) in lines.iter().enumerate().skip(at + 1) {
        let line = line.trim_start();
        if line.starts_with("#for ") || line.starts_with("#if ") {
            depth += 1;
        } else if line.starts_with("#else") && depth == 0 {
            middle = Some(i);
        } else if line.starts_with("#end") {
            if depth == 0 {
                return Ok((middle.unwrap_or(i), i));
            }
            depth -= 1;
        }
    }
    Err(mistake("an #end for it", lines[at]))
}

fn lookup<'a>(name: &str, scope: &'a Scope) -> Option<&'a str> {
    scope.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
}

fn holds(condition: &str, scope: &Scope) -> bool {
    match condition.split_once("==") {
        Some((name, wanted)) => lookup(name.trim(), scope) == Some(wanted.trim()),
        None => lookup(condition.trim(), scope).is_some_and(|v| v != "0"),
    }
}

fn substitute(line: &str, scope: &Scope, out: &mut String) -> Result<()> {
    let mut rest = line;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let end = rest[start..].find('}').ok_or_else(|| mistake("a closing brace", line))? + start;
        let expr = rest[start + 2..end].trim();
        match lookup(expr, scope) {
            Some(text) => out.push_str(text),
            None => out.push_str(&value(expr, scope)?.to_string()),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Ok(())
}

/// The value of an integer expression.
fn value(expr: &str, scope: &Scope) -> Result<i64> {
    let mut parser = Parser { text: expr.as_bytes(), at: 0, scope, expr };
    match parser.sum() {
        Some(v) if parser.peek().is_none() => Ok(v),
        _ => Err(mistake("integers and defined names", expr)),
    }
}

/// Reads an expression; `None` is a mistake in it.
struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    scope: &'a Scope,
    expr: &'a str,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn sum(&mut self) -> Option<i64> {
        let mut v = self.product()?;
        while let Some(c @ (b'+' | b'-')) = self.peek() {
            self.at += 1;
            let w = self.product()?;
            v = if c == b'+' { v.checked_add(w)? } else { v.checked_sub(w)? };
        }
        Some(v)
    }

    fn product(&mut self) -> Option<i64> {
        let mut v = self.atom()?;
        while let Some(c @ (b'*' | b'/' | b'%')) = self.peek() {
            self.at += 1;
            let w = self.atom()?;
            v = match c {
                b'*' => v.checked_mul(w)?,
                b'/' => v.checked_div(w)?,
                _ => v.checked_rem(w)?,
            };
        }
        Some(v)
    }

    fn atom(&mut self) -> Option<i64> {
        if self.peek() == Some(b'(') {
            self.at += 1;
            let v = self.sum()?;
            let closed = self.peek() == Some(b')');
            self.at += 1;
            return closed.then_some(v);
        }
        let start = self.at;
        while self.text.get(self.at).is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_') {
            self.at += 1;
        }
        let word = &self.expr[start..self.at];
        lookup(word, self.scope).unwrap_or(word).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_conditions_and_arithmetic() {
        let text = "#for i in 0..N\n#if i == 1\none\n#else\nv${i * 2 + 1}\n#end\n#end\n#if OFF\nno\n#end\n${NAME}";
        let out = expand(text, &[("N", "3".into()), ("OFF", "0".into()), ("NAME", "relu".into())]).unwrap();
        assert_eq!(out, "v1\none\nv5\nrelu\n");
    }

    #[test]
    fn mistakes_are_shown_with_their_line() {
        let mistakes = [
            "${NOPE + 1}",
            "${1 / 0}",
            "${(1}",
            "a ${N",
            "#for i 0..3\n#end",
            "#if X\nno end",
            "#include \"no\"",
            "${é}",
        ];
        for text in mistakes {
            let error = expand(text, &[]).unwrap_err().to_string();
            assert!(error.contains("template"), "{text}: {error}");
        }
    }
}
