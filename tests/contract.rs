//! Shaders, stems, layers, limits and plans against each other. None of it needs a GPU.

mod common;
#[path = "contract/documents.rs"]
mod documents;
#[path = "contract/layers.rs"]
mod layers;
#[path = "contract/limits.rs"]
mod limits;
#[path = "contract/loops.rs"]
mod loops;
#[path = "contract/loops_windows.rs"]
mod loops_windows;
#[path = "contract/shaders.rs"]
mod shaders;
#[path = "contract/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use galen::contract::{Access, GpuTraits, Slot};
use galen::graph::Place;
use galen::{Device, Executable, Plan, Session};

const FORMS: [GpuTraits; 2] = [GpuTraits { software: true }, GpuTraits { software: false }];

/// A path in the repository.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files (not the folders) directly in `folder`, without their extension.
fn stems_in(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(at(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    paths.filter(|p| p.is_file()).map(|p| p.file_stem().expect("a name").to_string_lossy().into_owned()).collect()
}

/// The plans of every row, forward and gradients, in both forms that a kernel may have.
fn plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    for row in common::rows::all() {
        let case = common::build(&row).unwrap_or_else(|e| panic!("{}/{}: {e}", row.stem, row.name));
        for gpu in &FORMS {
            let name = format!("{}/{}, software {}", row.stem, row.name, gpu.software);
            plans.push((name, Plan::new(&case.graph, &case.fetch, Some(gpu)).expect("a plan")));
        }
    }
    plans
}

#[test]
fn a_stem_is_an_op_file_a_shader_and_rows() {
    let stems: BTreeSet<String> = galen::ops::STEMS.iter().map(|s| (*s).to_owned()).collect();
    assert_eq!(stems.len(), galen::ops::STEMS.len(), "a stem is registered twice");
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    common::rows::all().iter().for_each(|row| *rows.entry(row.stem).or_default() += 1);
    for stem in &stems {
        let (file, folder) = (at(&format!("src/ops/{stem}.rs")), at(&format!("src/ops/{stem}/mod.rs")));
        assert!(file.is_file() != folder.is_file(), "{stem}: one of src/ops/{stem}.rs and src/ops/{stem}/mod.rs");
        assert!(rows.get(stem.as_str()).is_some_and(|n| *n > 0), "{stem}: no row in tests/common/rows/{stem}.rs");
    }
    let rows: BTreeSet<String> = rows.keys().map(|s| (*s).to_owned()).collect();
    assert_eq!(rows, stems, "stems of the table of rows, and the registry");
    let without_mod = |folder| {
        let mut found = stems_in(folder);
        found.remove("mod");
        found
    };
    assert_eq!(stems_in("shaders"), stems, "shaders/*.wgsl, and the registry");
    assert_eq!(without_mod("tests/common/rows"), stems, "tests/common/rows/*.rs, and the registry");
    for file in without_mod("src/ops") {
        assert!(stems.contains(&file), "src/ops/{file}.rs is not in the registry");
    }
    for (stem, text) in galen::ops::SHADERS {
        let path = format!("shaders/{stem}.wgsl");
        assert_eq!(*text, std::fs::read_to_string(at(&path)).expect("a shader"), "{path}");
    }
}

#[test]
fn every_row_that_a_stem_has_runs_a_kernel_of_it() {
    for row in common::rows::all() {
        let case = common::build(&row).expect("a case");
        let plan = Plan::new(&case.graph, &case.fetch, Some(&FORMS[0])).expect("a plan");
        // Element-wise ops may run as links of a chain.
        let linked = ["unary", "binary", "select"].contains(&row.stem);
        let own = |stem: &str| stem == row.stem || (stem == "chain" && linked);
        let runs = plan.steps.iter().any(|s| own(s.op.stem()) && !s.launches.is_empty());
        assert!(runs, "{}/{}: no step of its own stem", row.stem, row.name);
    }
}

/// WebGPU refuses a dispatch that writes a buffer which it also has at another binding.
#[test]
fn no_dispatch_has_a_second_binding_of_a_buffer_that_it_writes() {
    for (name, plan) in plans() {
        for step in &plan.steps {
            let place = |slot| match slot {
                Slot::Input(i) => step.inputs[i].place,
                Slot::Output(i) => step.outputs[i].place,
                Slot::Temp(i) => step.temps[i].place,
            };
            for launch in &step.launches {
                let bound: Vec<(Place, Access)> = launch.bindings.iter().map(|b| (place(b.slot), b.access)).collect();
                for (i, (written, _)) in bound.iter().enumerate().filter(|(_, (_, a))| *a == Access::Write) {
                    let twice = bound.iter().enumerate().any(|(j, (other, _))| j != i && other == written);
                    assert!(!twice, "{name}: {} writes {written:?} and has it at another binding", step.name());
                }
            }
            // The CPU's twins get slices that must not overlap either, whichever launches there are.
            let written: Vec<Place> = step.outputs.iter().chain(&step.temps).map(|region| region.place).collect();
            for (i, place) in written.iter().enumerate() {
                let read = step.inputs.iter().any(|input| input.place == *place);
                assert!(!read, "{name}: {} reads and writes {place:?}", step.name());
                assert!(!written[..i].contains(place), "{name}: {} writes {place:?} twice", step.name());
            }
        }
    }
}

#[test]
fn a_described_plan_lists_every_step_and_every_dispatch() {
    for (name, plan) in plans() {
        let text = plan.describe();
        let mut lines = text.lines();
        for (i, step) in plan.steps.iter().enumerate() {
            let line = lines.next().unwrap_or_default();
            let found = line.trim_start().starts_with(&format!("{i} ")) && line.contains(&step.name());
            assert!(found, "{name}: step {i} is {}, the line is \"{line}\"", step.name());
            for region in step.inputs.iter().chain(&step.outputs) {
                assert!(line.contains(&region.spec.to_string()), "{name}: \"{line}\" lacks {}", region.spec);
            }
            for launch in &step.launches {
                let line = lines.next().unwrap_or_default();
                assert!(line.contains(&*launch.kernel.entry), "{name}: \"{line}\" lacks {}", launch.kernel.entry);
            }
        }
        let counts = format!("{} ops, {} dispatches", plan.steps.len(), plan.dispatches());
        assert_eq!(lines.next(), Some(counts.as_str()), "{name}");
        assert!(lines.next().is_some_and(|l| l.contains("activations")), "{name}: no line about memory");
    }
}

#[test]
fn what_may_cross_threads() {
    fn send<T: Send>() {}
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Device>();
    send_and_sync::<Plan>();
    send_and_sync::<Executable>();
    send_and_sync::<galen::Tensor>();
    send_and_sync::<galen::Error>();
    send_and_sync::<galen::data::Dataset>();
    send_and_sync::<galen::train::Interrupt>();
    send::<Session>();
    send::<galen::train::Model>();
}
