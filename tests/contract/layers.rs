//! Who may name whom, read from the source text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Modules that are one layer: ops put their methods on `Var`, and a graph's nodes are ops.
const GROUND: [&str; 9] = ["error", "shape", "tensor", "file", "env", "contract", "microkernel", "ops", "graph"];

/// What a module of the library may name of its siblings, besides itself.
fn allowed(module: &str) -> Vec<&'static str> {
    let more: &[&str] = match module {
        "error" | "shape" | "tensor" | "file" | "env" => return GROUND[..5].to_vec(),
        "contract" | "microkernel" | "ops" | "graph" | "cpu" | "gpu" => &[],
        "augment" => &["augment"],
        "engine" => &["cpu", "gpu"],
        "nn" | "optim" => &["nn", "optim"],
        "data" | "interop" => &["engine", "nn", "optim", "data", "interop"],
        "metrics" => &["metrics"],
        "plot" => &["metrics", "plot"],
        "train" | "explain" => {
            &["augment", "engine", "nn", "optim", "data", "interop", "metrics", "plot", "train", "explain"]
        }
        "report" => &["metrics", "plot", "train", "report"],
        other => panic!("src/{other} is new: say here what it may use"),
    };
    GROUND.iter().chain(more).copied().collect()
}

/// The module behind a name that `lib.rs` exports.
fn behind(name: &str) -> &str {
    match name {
        "Device" | "Executable" | "Session" => "engine",
        "Error" | "Result" => "error",
        "Graph" | "Plan" | "Var" => "graph",
        "DType" | "Shape" | "TensorSpec" => "shape",
        "Elements" | "Tensor" => "tensor",
        module => module,
    }
}

/// Every file under `src`, by its path in it, without comments and string literals.
fn sources() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, out: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
                out.insert(name, code(&std::fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let (root, mut out) = (super::at("src"), BTreeMap::new());
    walk(&root, &root, &mut out);
    assert!(out.len() > 40, "the source is elsewhere");
    out
}

/// A file's text without its unit tests.
fn library(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// A text without what stands in line comments and string literals.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let (mut inside, mut before) = (false, ' ');
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if before != '\\' && before != '\'' => inside = !inside,
                '/' if !inside && chars.peek() == Some(&'/') => break,
                _ if !inside => out.push(c),
                _ => {}
            }
            before = if before == '\\' && c == '\\' { ' ' } else { c };
        }
        out.push('\n');
    }
    out
}

/// Whether `word` stands in `text` between characters that belong to no name.
fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(i, _)| {
        !text[..i].chars().next_back().is_some_and(part) && !text[i + word.len()..].chars().next().is_some_and(part)
    })
}

/// The library's modules that a text names through `crate::`.
fn siblings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (i, _) in text.match_indices("crate::") {
        let rest = &text[i + "crate::".len()..];
        let mut depth = 0;
        let mut word = String::new();
        let mut head = true;
        for c in rest.chars() {
            match c {
                c if c.is_alphanumeric() || c == '_' => {
                    if head && depth <= 1 {
                        word.push(c);
                    }
                    continue;
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                // After the first name of a path only what belongs to that name follows.
                ':' => head = false,
                ',' if depth == 1 => head = true,
                _ => {}
            }
            if !word.is_empty() {
                found.insert(behind(&std::mem::take(&mut word)).to_owned());
            }
            if depth <= 0 {
                break;
            }
        }
    }
    found
}

/// Whether a text uses a crate. A module of the same name as its crate, reached by a path or imported from one, is not the crate.
fn names_crate(text: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let imported = [';', ':', ',', '}'].iter().any(|end| text.contains(&format!("::{name}{end}")));
    let begins = |i: usize| !text[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let used = text.match_indices(&path).any(|(i, _)| begins(i));
    names(text, &format!("use {name}")) || (used && !imported)
}

fn module_of(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn layers_name_only_what_lies_below_them() {
    for (file, text) in sources().iter().filter(|(f, _)| *f != "lib.rs") {
        let (module, allowed) = (module_of(file), allowed(module_of(file)));
        for sibling in siblings(library(text)) {
            let may = sibling == module || allowed.contains(&sibling.as_str());
            assert!(may, "src/{file} names {sibling}, which {module} must not know");
        }
        // A path through super would leave the module unseen.
        let depth = file.matches('/').count() - usize::from(file.ends_with("/mod.rs"));
        let climbs = "super::".repeat(depth + 1);
        let climb = library(text).contains(&climbs);
        assert!(!climb, "src/{file} climbs out of its module with super");
    }
}

#[test]
fn crates_are_named_where_they_belong() {
    let homes = [
        ("wgpu", "gpu"),
        ("pollster", "gpu"),
        ("futures_intrusive", "gpu"),
        ("indicatif", "train"),
        ("ctrlc", "train"),
        ("kuva", "plot"),
        ("png", "data plot"),
        ("libm", "contract metrics"),
        ("flate2", "data interop plot"),
        ("csv", "data"),
        ("image", "data"),
        ("fax", "data"),
        ("weezl", "data"),
        ("zune_jpeg", "data"),
        ("zip", "data"),
        ("serde_json", "engine interop nn plot report train"),
        ("safetensors", "interop"),
    ];
    for (file, text) in sources() {
        for (name, home) in homes {
            let library = library(&text);
            let named = names_crate(library, name) || (name == "wgpu" && names(library, name));
            assert!(
                !named || home.split(' ').any(|home| module_of(&file) == home),
                "src/{file} names {name}, which belongs under src/{home}"
            );
        }
    }
}

/// The types that would let somebody go around the counting wrapper, and every call on them.
#[test]
fn wgpu_is_called_only_through_the_wrapper() {
    const MADE_HERE: [&str; 2] = ["gpu/device.rs", "gpu/pipelines.rs"];
    const CALLS: [&str; 14] = [
        "create_buffer",
        "create_buffer_init",
        "create_bind_group",
        "create_bind_group_layout",
        "create_pipeline_layout",
        "create_compute_pipeline",
        "create_shader_module",
        "create_shader_module_trusted",
        "create_command_encoder",
        "write_buffer",
        "submit",
        "map_async",
        "poll",
        "request_device",
    ];
    let sources = sources();
    for (file, text) in sources.iter().filter(|(f, _)| !MADE_HERE.contains(&f.as_str())) {
        for word in
            ["wgpu::Device", "wgpu::Queue", "wgpu::Adapter", "wgpu::Instance", "wgpu::util", "device_for_pipelines"]
        {
            assert!(!names(text, word), "src/{file} names {word}");
        }
        for call in CALLS {
            for (i, _) in text.match_indices(&format!(".{call}(")) {
                let receiver = text[..i].rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next();
                assert_eq!(receiver, Some("gpu"), "src/{file} calls {call} on something else than the wrapper");
            }
        }
    }
    for call in ["create_buffer", "create_bind_group", "submit", "map_async", "write_buffer"] {
        let seen = sources["gpu/device.rs"].contains(&format!(".{call}("));
        assert!(seen, "the wrapper does not call {call} any more: this test looks for the wrong names");
    }
    let handed_out = sources["gpu/device.rs"].matches("-> &wgpu::Device").count();
    assert_eq!(handed_out, 1, "only device_for_pipelines hands out wgpu's device");
    assert!(!sources["gpu/device.rs"].contains("-> &wgpu::Queue"), "nobody hands out wgpu's queue");
}

#[test]
fn nothing_below_training_prints() {
    for (file, text) in sources().iter().filter(|(f, _)| !["train", "lib"].contains(&module_of(f))) {
        for word in ["println!", "eprintln!", "print!", "eprint!", "dbg!"] {
            assert!(!names(library(text), word), "src/{file} has {word}");
        }
    }
}

#[test]
fn unsafe_stands_only_in_the_modules_that_say_why() {
    let found: Vec<String> = sources().into_iter().filter(|(_, text)| names(text, "unsafe")).map(|(f, _)| f).collect();
    let expected = [
        "cpu/denormals.rs",
        "gpu/pipelines.rs",
        "microkernel/lanes.rs",
        "microkernel/lines.rs",
        "microkernel/mod.rs",
        "microkernel/rectangle.rs",
        "microkernel/strips.rs",
    ];
    assert_eq!(found, expected);
    for file in found {
        let text = std::fs::read_to_string(super::at(&format!("src/{file}"))).expect("a text");
        let blocks: usize = ["unsafe {", "unsafe impl"].iter().map(|what| code(&text).matches(what).count()).sum();
        assert_eq!(text.matches("// SAFETY:").count(), blocks, "src/{file}: everything unsafe says why it is sound");
    }
    assert!(sources()["lib.rs"].contains("#![deny(unsafe_code)]"));
}

#[test]
fn the_scan_sees_what_it_should() {
    let text =
        "use crate::{cpu, graph::{Grad, gpu}, Device};\nlet x = crate::tensor::Tensor; // crate::train\n\"crate::nn\"";
    let found: Vec<String> = siblings(&code(text)).into_iter().collect();
    assert_eq!(found, ["cpu", "engine", "graph", "tensor"]);
    assert!(names("a wgpu::Buffer", "wgpu") && !names("wgpu_hal", "wgpu"));
    assert!(!code("let a = '\"'; // wgpu").contains("wgpu"));
    assert!(code("let a = \"x\\\"y\"; wgpu").contains("wgpu"));
}
