//! What README, changelog and the comments of the source name: files that are there, and items that are defined.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{self, names};

/// Names of others (Rust's, pandas's, scikit-learn's, Keras's, wgpu's), and one that the changelog says is gone.
const FOREIGN: [&str; 21] = [
    "False",
    "GroupKFold",
    "MinMaxScaler",
    "NaN",
    "OneCycleLR",
    "OneHotEncoder",
    "PiecewiseConstantDecay",
    "RandomBrightness",
    "RandomContrast",
    "ReduceLROnPlateau",
    "RobustScaler",
    "SimpleImputer",
    "SpatialDropout1D",
    "StandardScaler",
    "StratifiedGroupKFold",
    "True",
    "f32::EPSILON",
    "f32::NAN",
    "train::curve",
    "usize::MAX",
    "wgpu::QUERY_SET_MAX_QUERIES",
];

/// Folders that a command makes.
const MADE: [&str; 2] = ["fuzz/artifacts", "fuzz/corpus"];

/// The documents, and the documentation in the source, by path.
fn documents() -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for path in
        ["README.md", "CHANGELOG.md", "SECURITY.md", "benches/README.md", "fuzz/README.md", "examples/data/README.md"]
    {
        out.insert(path.to_owned(), std::fs::read_to_string(super::at(path)).expect(path));
    }
    for (file, text) in source::files() {
        let lines = text.lines().map(str::trim_start).filter(|l| l.starts_with("//!") || l.starts_with("///"));
        out.insert(format!("src/{file}"), lines.map(|line| &line[3..]).collect::<Vec<_>>().join("\n"));
    }
    out
}

/// A document without its programs.
fn prose(text: &str) -> String {
    let mut program = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        // What is drawn as text is no program.
        program = if fence { !program && !line.contains("```text") } else { program };
        !program && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
}

/// The paths in this repository that a text names, with and without backticks.
fn paths(text: &str) -> BTreeSet<String> {
    const FOLDERS: [&str; 7] = ["src/", "shaders/", "tests/", "examples/", "benches/", "fuzz/", "docs/"];
    let part = |c: char| c.is_alphanumeric() || "_-./<>*".contains(c);
    let words = text.split(|c: char| !part(c)).filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)));
    words.map(|word| word.trim_end_matches(['.', '-']).to_owned()).collect()
}

#[test]
fn every_path_that_is_named_is_there() {
    let mut seen = 0;
    for (document, text) in documents() {
        for path in paths(&text).into_iter().filter(|path| !MADE.iter().any(|made| path.starts_with(made))) {
            // One of many: the folder that they are in.
            let fixed = path.split(['<', '*']).next().unwrap_or_default();
            let fixed =
                if fixed.len() < path.len() { fixed.rsplit_once('/').map_or("", |(folder, _)| folder) } else { fixed };
            assert!(super::at(fixed).exists(), "{document} names {path}, which is not there");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} paths");
}

/// What the library defines.
struct Items {
    /// Every file without comments and literals.
    code: BTreeMap<String, String>,
    /// By name, the files that define it.
    defined: BTreeMap<String, BTreeSet<String>>,
}

impl Items {
    fn new() -> Self {
        const KINDS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules!"];
        let code = source::sources();
        let mut defined: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, text) in &code {
            let words: Vec<&str> = text.split_whitespace().collect();
            for pair in words.windows(2).filter(|pair| KINDS.contains(&pair[0].trim_start_matches(['(', '{']))) {
                let name: String = pair[1].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                defined.entry(name).or_default().insert(file.clone());
            }
        }
        Items { code, defined }
    }

    /// Whether the library has what a path such as `Type`, `Type::method` or `module::item` says.
    fn has(&self, path: &[&str]) -> bool {
        let own = |part: &&str| !["galen", "crate", "super", "self"].contains(part);
        let path: Vec<&str> = path.iter().copied().filter(own).collect();
        let Some((last, owners)) = path.split_last() else { return true };
        let defines = |file: &String| self.defined.get(*last).is_some_and(|files| files.contains(file));
        let Some(owner) = owners.last() else {
            return self.defined.contains_key(*last) || self.code.values().any(|text| names(text, last));
        };
        self.code.iter().any(|(file, text)| {
            if is_type(owner) {
                // Variants, and what macros define, are words beside the type.
                names(text, owner) && (defines(file) || names(text, last))
            } else {
                let parts: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
                let exported = text.lines().any(|line| line.contains("pub use ") && names(line, last));
                let module = parts.windows(2).any(|pair| pair == [*owner, *last]);
                module || (parts.contains(owner) && (defines(file) || exported))
            }
        })
    }
}

/// Whether a name is written as types are.
fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.contains(|c: char| c.is_ascii_lowercase())
}

#[test]
fn every_item_that_is_named_is_defined() {
    let (items, mut seen) = (Items::new(), BTreeSet::new());
    let word = |part: &&str| {
        let letters = part.chars().all(|c| c.is_alphanumeric() || c == '_');
        letters && part.starts_with(|c: char| c.is_alphabetic() || c == '_')
    };
    for (document, text) in documents() {
        for name in quoted(&prose(&text)).filter(|name| !FOREIGN.contains(name)) {
            let name = name.trim_end_matches("()").trim_end_matches('!');
            let parts: Vec<&str> = name.split("::").collect();
            if parts.iter().all(word) && (parts.len() > 1 || is_type(name)) {
                assert!(items.has(&parts), "{document} names `{name}`, which the library does not define");
                seen.insert(name.to_owned());
            }
        }
    }
    assert!(seen.len() > 200, "only {} names", seen.len());
}

#[test]
fn a_wrong_name_is_seen() {
    let items = Items::new();
    let has = |path: &str| items.has(&path.split("::").collect::<Vec<_>>());
    for right in
        ["Fit", "Fit::class_weights", "Metric::Auc", "data::balanced_weights", "galen::data::Split::stratified"]
    {
        assert!(has(right), "{right}");
    }
    for wrong in ["Fitt", "Fit::class_wieghts", "Metric::Aucs", "galen::data::class_weights", "Fits::epochs"] {
        assert!(!has(wrong), "{wrong}");
    }
    let found: Vec<String> =
        paths("see `src/ops/unary.rs`, tests/run. And https://a.org/src/b (src/<stem>.rs)").into_iter().collect();
    assert_eq!(found, ["src/<stem>.rs", "src/ops/unary.rs", "tests/run"]);
    assert_eq!(quoted("a `b` c\nd `E::f` g").collect::<Vec<_>>(), ["b", "E::f"]);
    assert_eq!(prose("a\n```sh\nb\n```\nc\n```text\nd\n```"), "a\nc\nd");
}
