//! What naga says of every shader that any row compiles: it is valid WGSL without extensions, it becomes SPIR-V, MSL and HLSL, and its
//! bindings are those that the launch binds.

use std::collections::{BTreeMap, HashMap, HashSet};

use galen::contract::{Access, Launch, Slot};
use galen::graph::Step;
use galen::{DType, TensorSpec};
use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, GlobalVariable, Module, ScalarKind, ShaderStage, StorageAccess, TypeInner};

/// What WebGPU guarantees everywhere.
const WORKGROUP_MEMORY: u32 = 16 << 10;
const INVOCATIONS: u32 = 256;
const STORAGE_BINDINGS: usize = 8;
const WORKGROUPS: u32 = 65_535;

#[test]
fn every_shader_is_portable_and_agrees_with_its_launch() {
    // Translation is slow and depends on the text alone; bindings are compared for every launch, whose tensors differ.
    let (mut modules, mut translated) = (HashMap::new(), HashSet::new());
    let mut failures = BTreeMap::new();
    for (name, plan) in super::plans().into_iter().chain(super::loops_windows::cut_up()) {
        for step in &plan.steps {
            for launch in &step.launches {
                let wgsl = launch.kernel.wgsl().expect("a template without mistakes");
                let (module, info) = modules.entry(wgsl.clone()).or_insert_with(|| parse(&wgsl));
                let entry = launch.kernel.entry.to_string();
                let mut result = agrees(module, info, step, launch);
                if translated.insert((wgsl, entry.clone())) {
                    result = result.and_then(|()| translate(module, info, &entry));
                }
                if let Err(e) = result {
                    failures.entry(format!("{}::{entry}: {e}", launch.kernel.stem)).or_insert_with(|| name.clone());
                }
            }
        }
    }
    assert!(failures.is_empty(), "complaints, and a row that shows each: {failures:#?}");
    println!("{} texts, {} entry points", modules.len(), translated.len());
}

/// A text as naga's module. No capability is given: WebGPU's baseline is all that Galen's own kernels may use.
pub(super) fn parse(wgsl: &str) -> (Module, ModuleInfo) {
    let module = naga::front::wgsl::parse_str(wgsl).unwrap_or_else(|e| panic!("{}", e.emit_to_string(wgsl)));
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
    (module, info.unwrap_or_else(|e| panic!("{}", e.emit_to_string(wgsl))))
}

fn agrees(module: &Module, info: &ModuleInfo, step: &Step, launch: &Launch) -> Result<(), String> {
    let (stem, name) = (&*launch.kernel.stem, &*launch.kernel.entry);
    // An op that stands for several runs the kernels of all of them.
    let others: &[&str] = match step.op.name() {
        "conv_grad" => &["reduce", "unary"],
        "conv_norm" => &["batch_norm"],
        "softmax_grad" | "log_softmax_grad" | "cross_entropy_grad" | "masked_softmax_grad" => &["reduce"],
        "cross_entropy" => &["softmax", "reduce"],
        "masked_softmax" => &["softmax"],
        "correct_count" => &["argmax"],
        "avg_pool" | "avg_pool_grad" | "adaptive_avg_pool" | "adaptive_avg_pool_grad" | "resize_grad" => &["reduce"],
        "max_pool_grad" => &["gather"],
        "adaptive_max_pool_grad" => &["max_pool", "gather"],
        _ => &[],
    };
    let together = others.contains(&stem);
    expect(together || stem == step.op.stem(), || format!("the stem of its op is {}", step.op.stem()))?;
    expect(name.starts_with(stem) && name != "main", || "the entry point's name does not start with the stem".into())?;
    let index = module.entry_points.iter().position(|e| e.name == name && e.stage == ShaderStage::Compute);
    let index = index.ok_or("there is no such compute entry point")?;
    let invocations: u32 = module.entry_points[index].workgroup_size.iter().product();
    expect(invocations <= INVOCATIONS, || format!("{invocations} invocations"))?;
    let groups = launch.workgroups;
    expect(groups.iter().all(|g| (1..=WORKGROUPS).contains(g)), || format!("{groups:?} workgroups"))?;
    expect(launch.bindings.len() <= STORAGE_BINDINGS, || format!("{} storage bindings", launch.bindings.len()))?;

    let uses = info.get_entry_point(index);
    let used = module.global_variables.iter().filter(|(h, _)| !uses[*h].is_empty()).map(|(_, global)| global);
    let mut workgroup_memory = 0;
    let mut bound = vec![false; launch.bindings.len()];
    for global in used {
        match global.space {
            AddressSpace::WorkGroup => {
                workgroup_memory += module.types[global.ty].inner.size(module.to_ctx()).next_multiple_of(16);
            }
            AddressSpace::Uniform => params(module, global, launch)?,
            AddressSpace::Storage { access } => {
                let at = binding_of(global)?.checked_sub(1).filter(|at| *at < bound.len());
                let at = at.ok_or_else(|| format!("the launch does not bind {}", label(global)))?;
                let wanted = storage(launch.bindings[at].access);
                expect(access == wanted, || format!("{} is {access:?}, bound is {wanted:?}", label(global)))?;
                elements(module, global, tensor(step, launch.bindings[at].slot))?;
                bound[at] = true;
            }
            AddressSpace::Private | AddressSpace::Function => {}
            other => return Err(format!("{} lies in {other:?}", label(global))),
        }
    }
    expect(workgroup_memory <= WORKGROUP_MEMORY, || format!("{workgroup_memory} bytes of workgroup memory"))?;
    // A variant of a kernel may leave an input unread, but it must be there under its number.
    for at in (0..bound.len()).filter(|at| !bound[*at]) {
        let same = |g: &GlobalVariable| {
            binding_of(g) == Ok(at + 1) && g.space == AddressSpace::Storage { access: StorageAccess::LOAD }
        };
        let read = launch.bindings[at].access == Access::Read && module.global_variables.iter().any(|(_, g)| same(g));
        expect(read, || format!("binding {} is bound, but the shader does not use it", at + 1))?;
    }
    Ok(())
}

fn storage(access: Access) -> StorageAccess {
    match access {
        Access::Read => StorageAccess::LOAD,
        Access::Write => StorageAccess::LOAD | StorageAccess::STORE,
    }
}

/// Binding 0: `var<uniform> p: Params`, as many bytes as the launch gives.
fn params(module: &Module, global: &GlobalVariable, launch: &Launch) -> Result<(), String> {
    let ty = &module.types[global.ty];
    let at = global.binding.map(|b| (b.group, b.binding));
    expect(at == Some((0, 0)), || format!("the uniform {} is not at group 0, binding 0", label(global)))?;
    expect(global.name.as_deref() == Some("p"), || format!("the uniform is called {}, not p", label(global)))?;
    expect(ty.name.as_deref() == Some("Params"), || format!("the uniform is a {:?}, not Params", ty.name))?;
    let TypeInner::Struct { span, .. } = ty.inner else { return Err("Params is no struct".into()) };
    let (have, given) = (span as usize, launch.params.len());
    expect(have.next_multiple_of(16) == given.next_multiple_of(16), || {
        format!("Params has {have} bytes in WGSL, {given} in Rust")
    })
}

/// A storage binding is an array of words: numbers as floats only where the tensor holds floats. (As `u32` any tensor may be moved,
/// bit by bit, and bytes are read four to a word.)
fn elements(module: &Module, global: &GlobalVariable, spec: &TensorSpec) -> Result<(), String> {
    let TypeInner::Array { base, .. } = module.types[global.ty].inner else {
        return Err(format!("{} is no array", label(global)));
    };
    let scalar = match &module.types[base].inner {
        TypeInner::Atomic(scalar) => Some(*scalar),
        other => other.scalar(),
    };
    let scalar = scalar.ok_or_else(|| format!("{} holds no numbers", label(global)))?;
    let fits = scalar.kind == ScalarKind::Uint || (scalar.kind == ScalarKind::Float && spec.dtype == DType::F32);
    expect(fits && scalar.width == 4, || format!("{} holds {scalar:?}, given is {spec}", label(global)))
}

fn tensor(step: &Step, slot: Slot) -> &TensorSpec {
    match slot {
        Slot::Input(i) => &step.inputs[i].spec,
        Slot::Output(i) => &step.outputs[i].spec,
        Slot::Temp(i) => &step.temps[i].spec,
    }
}

fn binding_of(global: &GlobalVariable) -> Result<usize, String> {
    let binding = global.binding.filter(|b| b.group == 0);
    Ok(binding.ok_or_else(|| format!("{} is not in group 0", label(global)))?.binding as usize)
}

fn label(global: &GlobalVariable) -> &str {
    global.name.as_deref().unwrap_or("a global")
}

fn expect(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}

/// The entry point in the languages of Vulkan, Metal and DX12, with the run-time checks that Galen's own shaders are built with.
fn translate(module: &Module, info: &ModuleInfo, entry: &str) -> Result<(), String> {
    let stage = ShaderStage::Compute;
    let options = spv::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: entry.into() };
    let words = spv::write_vec(module, info, &options, Some(&pipeline)).map_err(|e| format!("SPIR-V: {e}"))?;
    expect(words.first() == Some(&0x0723_0203), || "SPIR-V: no magic number".into())?;

    let options = msl::Options { lang_version: (2, 0), fake_missing_bindings: true, ..Default::default() };
    let pipeline = msl::PipelineOptions { entry_point: Some((stage, entry.into())), ..Default::default() };
    let (text, names) = msl::write_string(module, info, &options, &pipeline).map_err(|e| format!("MSL: {e}"))?;
    let names: Vec<_> =
        names.entry_point_names.into_iter().collect::<Result<_, _>>().map_err(|e| format!("MSL: {e}"))?;
    expect(names.len() == 1 && text.contains(&names[0]), || "MSL: no entry point".into())?;

    let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
    let pipeline = hlsl::PipelineOptions { entry_point: Some((stage, entry.into())) };
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
    let names = writer.write(module, info, None).map_err(|e| format!("HLSL: {e}"))?.entry_point_names;
    let names: Vec<_> = names.into_iter().collect::<Result<_, _>>().map_err(|e| format!("HLSL: {e}"))?;
    expect(names.len() == 1 && text.contains(&names[0]), || "HLSL: no entry point".into())
}

#[test]
fn a_shader_beyond_the_baseline_is_refused() {
    let plain = "@compute @workgroup_size(1) fn copy() { }";
    parse(plain);
    for beyond in [
        "var<private> x: f64; @compute @workgroup_size(1) fn copy() { x = 1.0lf; }",
        "enable f16; var<private> x: f16; @compute @workgroup_size(1) fn copy() { x = 1.0h; }",
        "enable subgroups; var<private> x: u32; @compute @workgroup_size(1) fn copy() { x = subgroupAdd(1u); }",
    ] {
        let refused = std::panic::catch_unwind(|| parse(beyond)).is_err();
        assert!(refused, "{beyond}");
    }
}
