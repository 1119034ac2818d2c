//! The library's source as text: without comments and literals, and without its tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Every file under `src`, by its path in it.
pub fn files() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, out: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                out.insert(name, std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    let (root, mut out) = (super::at("src"), BTreeMap::new());
    walk(&root, &root, &mut out);
    assert!(out.len() > 40, "the source is elsewhere");
    out
}

/// Every file under `src` without comments and literals.
pub fn sources() -> BTreeMap<String, String> {
    files().into_iter().map(|(file, text)| (file, code(&text))).collect()
}

/// Every file under `src` that is part of the library, without comments, literals and tests.
pub fn library() -> BTreeMap<String, String> {
    let sources = sources();
    let tests: BTreeSet<String> = sources.iter().flat_map(|(file, text)| test_files(file, text)).collect();
    let kept = sources.into_iter().filter(|(file, _)| {
        let own = |test: &String| file == &format!("{test}.rs") || file.starts_with(&format!("{test}/"));
        !tests.iter().any(own)
    });
    kept.map(|(file, text)| (file, without_tests(&text))).collect()
}

/// A text without comments, and with nothing in its strings and characters.
pub fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !word => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if len == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            if c != '/' {
                out.push_str("\"\"");
            }
            rest = &rest[len..];
        }
    }
    out
}

/// The length of the comment that a text begins with; others may stand in it.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..text.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string that a text begins with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return i + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The length of the raw string that a text begins with, 0 where it is none.
fn raw_string(text: &str) -> usize {
    let Some(at) = text.find('r').filter(|at| *at <= 1) else { return 0 };
    let rest = &text[at + 1..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    if !rest[hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = &rest[hashes + 1..];
    at + 1 + hashes + 1 + body.find(&end).map_or(body.len(), |i| i + end.len())
}

/// The length of the character that a text begins with, 0 where it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((i, escaped))) => {
            let after = i + escaped.len_utf8();
            text[after..].find('\'').map_or(0, |end| after + end + 1)
        }
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 0,
    }
}

/// Where the items that only tests have begin and end in a text that [`code`] gave.
fn test_items(text: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (start, _) in text.match_indices("#[cfg(") {
        let condition = &text[start..start + text[start..].find(']').expect("the attribute's end")];
        let inside = found.last().is_some_and(|(_, end)| start < *end);
        if inside || !names(condition, "test") || condition.contains("not(test") {
            continue;
        }
        let (mut depth, mut end) = (0i32, text.len());
        let body = start + condition.len() + 1;
        for (i, c) in text[body..].char_indices() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                end = body + i;
                break;
            }
            if depth == 0 && (c == '}' || c == ';') {
                end = body + i + 1;
                break;
            }
        }
        found.push((start, end));
    }
    found
}

/// A text that [`code`] gave, without the items that only tests have.
pub fn without_tests(text: &str) -> String {
    let (mut out, mut from) = (String::new(), 0);
    for (start, end) in test_items(text) {
        out.push_str(&text[from..start]);
        from = end;
    }
    out.push_str(&text[from..]);
    out
}

/// The modules in files of their own that only tests have, by their path without an ending.
fn test_files(file: &str, text: &str) -> Vec<String> {
    let folder = match file.strip_suffix("/mod.rs").or_else(|| file.strip_suffix("lib.rs")) {
        Some(folder) => folder,
        None => file.trim_end_matches(".rs"),
    };
    let items = test_items(text).into_iter().map(|(start, end)| &text[start..end]);
    let modules = items.filter_map(|item| item.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name.trim()));
    modules.map(|name| format!("{folder}/{name}").trim_start_matches('/').to_owned()).collect()
}

/// Whether `word` stands in `text` between characters that belong to no name.
pub fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(i, _)| {
        !text[..i].chars().next_back().is_some_and(part) && !text[i + word.len()..].chars().next().is_some_and(part)
    })
}

#[test]
fn comments_and_literals_are_left_out() {
    let is = |text: &str, expected: &str| assert_eq!(code(text), expected, "{text}");
    is("a // wgpu\nb /* wgpu /* wgpu */ wgpu */ c", "a \nb  c");
    is("let a = \"wgpu\"; b", "let a = \"\"; b");
    is("let a = \"x\\\"wgpu\"; wgpu", "let a = \"\"; wgpu");
    is("let a = \"x\\\\\"; wgpu", "let a = \"\"; wgpu");
    is("\"two\nlines // wgpu\n\" b", "\"\" b");
    is("r\"\\\" b br#\"a \" wgpu\"# c", "\"\" b \"\" c");
    is(
        "for r in x'\"' wgpu '\\'' wgpu '\\u{22}' &'a str 'b: loop '{' ",
        "for r in x\"\" wgpu \"\" wgpu \"\" &'a str 'b: loop \"\" ",
    );
    is("parameter\"wgpu\" number#", "parameter\"\" number#");
}

#[test]
fn tests_are_left_out_wherever_they_stand() {
    let text = "use a;\n#[cfg(test)]\n#[path = \"\"]\nmod tests;\n#[cfg(all(test, feature = \"\"))]\nuse crate::{cpu, gpu};\n\
                fn b() { #[cfg(test)] { c(); } d() }\n#[cfg(test)]\nfn e(x: [u8; 2]) -> Vec<u8> { f(); { g() } }\n\
                #[cfg(not(test))]\nfn h() {}\n#[cfg(test)]\nmod inner { #[cfg(test)] fn i() {} }\nfn last() {}";
    let kept: String = without_tests(text).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(kept, "use a; ; fn b() { d() } #[cfg(not(test))] fn h() {} fn last() {}");
    assert_eq!(test_files("ops/conv/mod.rs", text), ["ops/conv/tests"]);
    assert_eq!(test_files("ops/conv.rs", text), ["ops/conv/tests"]);
    let library = library();
    assert!(sources().contains_key("microkernel/tests.rs") && !library.contains_key("microkernel/tests.rs"));
    // Its first item for tests stands before its code.
    assert!(library["plot/pixels.rs"].contains("fn "), "plot/pixels.rs is not read to its end");
    let all: usize = library.values().map(|text| text.matches("#[test]").count()).sum();
    assert_eq!(all, 0, "tests in what should be the library alone");
}
