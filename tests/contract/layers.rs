//! Who may name whom, read from the source text.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, files, library, names, sources, without_tests};

/// A row of the table in `lib.rs`: what its modules may name.
#[derive(Debug)]
struct Layer {
    modules: BTreeSet<String>,
    siblings: BTreeSet<String>,
    crates: BTreeSet<String>,
}

/// The rows of the table in `lib.rs`, and for each module the row that it is in.
fn layers() -> (Vec<Layer>, BTreeMap<String, usize>) {
    let text = &files()["lib.rs"];
    let rows = text.lines().skip_while(|line| !line.starts_with("//! | layer |")).skip(2);
    let rows = rows.take_while(|line| line.starts_with("//! |")).map(|line| {
        let cell = |i: usize| -> BTreeSet<String> {
            let cell = line.split('|').nth(i).expect("four cells");
            cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        };
        Layer { modules: cell(2), siblings: cell(3), crates: cell(4) }
    });
    let rows: Vec<Layer> = rows.collect();
    let mut row_of = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        for module in &row.modules {
            assert!(row_of.insert(module.clone(), i).is_none(), "{module} stands twice in the table of lib.rs");
        }
    }
    (rows, row_of)
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

/// The crates that the library depends on, as the source names them.
fn dependencies() -> BTreeSet<String> {
    let text = std::fs::read_to_string(super::at("Cargo.toml")).expect("a text");
    let mut listed = false;
    let lines = text.lines().filter(|line| {
        if line.starts_with('[') {
            // Also those of one kind of system.
            listed = *line == "[dependencies]" || (line.starts_with("[target.") && line.ends_with(".dependencies]"));
        }
        listed
    });
    lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_")).collect()
}

#[test]
fn layers_name_only_what_the_table_says() {
    let ((rows, row_of), dependencies) = (layers(), dependencies());
    assert!(dependencies.len() > 15, "{dependencies:?}");
    let mut used: Vec<[BTreeSet<String>; 2]> = rows.iter().map(|_| Default::default()).collect();
    let mut complaints = BTreeSet::new();
    for (file, text) in library().iter().filter(|(f, _)| *f != "lib.rs") {
        let module = module_of(file);
        let row = *row_of.get(module).unwrap_or_else(|| panic!("src/{module} is not in the table of lib.rs"));
        for sibling in siblings(text).into_iter().filter(|sibling| sibling != module) {
            if !rows[row].siblings.contains(&sibling) {
                complaints.insert(format!("src/{file} names {sibling}, which {module} must not know"));
            }
            used[row][0].insert(sibling);
        }
        for name in dependencies.iter().filter(|name| names_crate(text, name)) {
            if !rows[row].crates.contains(name) {
                complaints.insert(format!("src/{file} names the crate {name}, which {module} must not"));
            }
            used[row][1].insert(name.clone());
        }
        // A path through super would leave the module unseen.
        let depth = file.matches('/').count() - usize::from(file.ends_with("/mod.rs"));
        if text.contains(&"super::".repeat(depth + 1)) {
            complaints.insert(format!("src/{file} climbs out of its module with super"));
        }
    }
    // What nobody uses is nobody's to use.
    for (row, [siblings, crates]) in rows.iter().zip(&used) {
        let unused: Vec<&String> = row.siblings.difference(siblings).chain(row.crates.difference(crates)).collect();
        if !unused.is_empty() {
            complaints.insert(format!("{:?} may use {unused:?}, and none does", row.modules));
        }
    }
    let complaints: Vec<String> = complaints.into_iter().collect();
    assert!(complaints.is_empty(), "by the table of lib.rs:\n{}", complaints.join("\n"));
}

/// A module names only rows above its own in the table, and its own: the order of the rows is the order of the layers.
#[test]
fn no_layer_names_one_above_it() {
    let (rows, row_of) = layers();
    let ground = row_of["graph"];
    for (i, row) in rows.iter().enumerate() {
        for sibling in &row.siblings {
            let below = row_of.get(sibling).unwrap_or_else(|| panic!("{sibling} is not in the table of lib.rs"));
            // Ops are made of graph nodes and a graph's nodes are ops: these rows are one layer.
            let may = *below <= i || (*below <= ground && i <= ground);
            assert!(may, "{:?} may use {sibling}, which stands below it in the table of lib.rs", row.modules);
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
    for (file, text) in library().iter().filter(|(f, _)| !["train", "lib"].contains(&module_of(f))) {
        for word in ["println!", "eprintln!", "print!", "eprint!", "dbg!"] {
            assert!(!names(text, word), "src/{file} has {word}");
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
    assert!(names_crate("use png;", "png") && names_crate("a(png::B)", "png") && !names_crate("x::png::B", "png"));
    // Behind an item that only tests have, too.
    let text = "#[cfg(test)]\nfn a() { crate::cpu::b() }\nfn c() { crate::gpu::d() }";
    assert_eq!(siblings(&without_tests(text)).into_iter().collect::<Vec<_>>(), ["gpu"]);
}
