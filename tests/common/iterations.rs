//! How many loop iterations the invocations of a launch really take: its kernel is run once more with a counter in every loop.

use std::collections::BTreeMap;

use galen::contract::{Access, Binding, Kernel, Slot};
use galen::graph::{BufferSpec, Place, Region};
use galen::{DType, Device, Plan, Session, Tensor, TensorSpec};
use naga::{Block, Module, Statement};

use super::Case;

/// A binding may start at every 256th byte.
const APART: usize = 64;
const NAME: &str = "iterations";

/// The kernel of a launch, what the launch says of its iterations, and what its invocations took at most.
pub struct Counted {
    pub kernel: String,
    pub declared: u64,
    pub counted: u64,
}

/// Counts the iterations of every launch of a case that says it has loops.
pub fn count(case: &Case, device: &Device) -> Result<Vec<Counted>, String> {
    let mut session = Session::new(device, 1, None);
    let mut plan = session.plan(&case.graph, &case.fetch).map_err(|e| e.to_string())?;
    let mut counted = Vec::new();
    for step in &mut plan.steps {
        for launch in step.launches.iter_mut().filter(|launch| launch.iterations > 0) {
            let kernel = format!("{}::{}", launch.kernel.stem, launch.kernel.entry);
            let wgsl = launch.kernel.wgsl().map_err(|e| e.to_string())?;
            let binding = launch.bindings.len() + 1;
            let wgsl = with_counter(&wgsl, &launch.kernel.entry, binding).map_err(|e| format!("{kernel}: {e}"))?;
            launch.kernel = Kernel::custom(&*launch.kernel.stem, wgsl, &*launch.kernel.entry);
            launch.bindings.push(Binding { slot: Slot::Temp(step.temps.len()), access: Access::Write });
            let (place, offset) = (Place::Buffer(plan.buffers.len()), counted.len() * APART);
            step.temps.push(Region { place, offset, spec: TensorSpec::u32([1]) });
            counted.push(Counted { kernel, declared: launch.iterations, counted: 0 });
        }
    }
    if counted.is_empty() {
        return Ok(counted);
    }
    let len = counted.len() * APART;
    let region = Region { place: Place::Buffer(plan.buffers.len()), offset: 0, spec: TensorSpec::u32([len]) };
    plan.buffers.push(BufferSpec { dtype: DType::U32, len });
    plan.inputs.push((NAME.into(), region.clone()));
    plan.outputs.push(region);
    for (counted, most) in counted.iter_mut().zip(run(&mut session, plan, case, len)?.iter().step_by(APART)) {
        counted.counted = u64::from(*most);
    }
    Ok(counted)
}

fn run(session: &mut Session, plan: Plan, case: &Case, len: usize) -> Result<Vec<u32>, String> {
    let zeros = (NAME.to_owned(), Tensor::u32([len], vec![0; len]).map_err(|e| e.to_string())?);
    let executable = session.prepare(plan).map_err(|e| e.to_string())?;
    let known = |name: &str| executable.plan().inputs.iter().any(|(have, _)| have == name);
    let feeds = case.feeds.iter().chain([&zeros]).filter(|(name, _)| known(name));
    let feeds: Vec<(&str, &Tensor)> = feeds.map(|(name, tensor)| (name.as_str(), tensor)).collect();
    match session.run(&executable, &feeds).map_err(|e| e.to_string())?.pop() {
        Some(Tensor::U32(x)) => Ok(x.into_raw_vec_and_offset().0),
        other => Err(format!("counts were expected, not {other:?}")),
    }
}

/// Refuses launches that take more iterations than they say.
pub fn judge_most(counted: &[Counted]) -> Result<(), String> {
    let more = counted.iter().filter(|launch| launch.counted > launch.declared);
    let say = |Counted { kernel, declared, counted }: &Counted| {
        format!("{kernel} takes {counted} iterations and declares {declared}")
    };
    let complaints: Vec<String> = more.map(say).collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// The same, and refuses numbers that say nothing over all of a kernel's launches: every kernel comes close to its number at least once.
pub fn judge(counted: &[Counted]) -> Result<(), String> {
    judge_most(counted)?;
    let mut nearest: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for Counted { kernel, declared, counted } in counted {
        let near = nearest.entry(kernel).or_insert((*declared, *counted));
        if counted * near.0 > near.1 * declared {
            *near = (*declared, *counted);
        }
    }
    let loose = nearest.iter().filter(|(_, (declared, counted))| 2 * counted < *declared);
    let complaints: Vec<String> = loose
        .map(|(kernel, (declared, counted))| {
            format!("{kernel} never takes half of what it declares: at best {counted} of {declared} iterations")
        })
        .collect();
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

/// The same program, in which every loop counts its iterations; the largest count of an invocation goes to one more binding.
fn with_counter(wgsl: &str, entry: &str, binding: usize) -> Result<String, String> {
    let (mut text, mut loops) = (String::new(), 0);
    for line in wgsl.lines() {
        text.push_str(line);
        text.push('\n');
        let is_loop = ["for (", "while ", "loop {"].iter().any(|head| line.trim_start().starts_with(head));
        if is_loop && line.trim_end().ends_with('{') {
            text.push_str("iterations_taken += 1u;\n");
            loops += 1;
        }
    }
    let module = naga::front::wgsl::parse_str(wgsl).map_err(|e| e.emit_to_string(wgsl))?;
    let bodies =
        module.functions.iter().map(|(_, f)| &f.body).chain(module.entry_points.iter().map(|e| &e.function.body));
    let there: usize = bodies.map(loops_in).sum();
    if there != loops {
        return Err(format!(
            "{there} loops, but {loops} lines that begin one: put each on a line that ends with its brace"
        ));
    }
    // The entry point becomes a function, so that whatever way it returns the count is stored.
    let head = format!("fn {entry}(");
    let lost = || format!("no entry point \"{head}\"");
    let at = text.find(&head).ok_or_else(lost)?;
    let attributes = text[..at].rfind("@compute").ok_or_else(lost)?;
    let parameters = at + head.len();
    let end = parameters + text[parameters..].find("{").ok_or_else(lost)?;
    let (declared, body) = (text[parameters..end].trim().trim_end_matches(')').to_owned(), &text[end..]);
    let parts = declared.split(',').map(str::trim).filter(|part| !part.is_empty());
    let plain: Vec<&str> = parts.map(|part| part.split_once(") ").map_or(part, |(_, plain)| plain)).collect();
    let names: Vec<&str> = plain.iter().filter_map(|p| p.split(':').next()).collect();
    Ok(format!(
        "{}fn counted_{entry}({}) {body}
var<private> iterations_taken: u32;
@group(0) @binding({binding}) var<storage, read_write> iterations_most: atomic<u32>;
{}{head}{declared}) {{
    counted_{entry}({});
    atomicMax(&iterations_most, iterations_taken);
}}
",
        &text[..attributes],
        plain.join(", "),
        &text[attributes..at],
        names.join(", "),
    ))
}

fn loops_in(block: &Block) -> usize {
    let of = |statement: &Statement| match statement {
        Statement::Loop { body, continuing, .. } => 1 + loops_in(body) + loops_in(continuing),
        Statement::Block(block) => loops_in(block),
        Statement::If { accept, reject, .. } => loops_in(accept) + loops_in(reject),
        Statement::Switch { cases, .. } => cases.iter().map(|case| loops_in(&case.body)).sum(),
        _ => 0,
    };
    block.iter().map(of).sum()
}

/// Whether a block reaches a loop: its own, or one of a function that it calls.
pub fn reaches_loop(module: &Module, block: &Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Loop { .. } => true,
        Statement::Block(block) => reaches_loop(module, block),
        Statement::If { accept, reject, .. } => reaches_loop(module, accept) || reaches_loop(module, reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| reaches_loop(module, &case.body)),
        Statement::Call { function, .. } => reaches_loop(module, &module.functions[*function].body),
        _ => false,
    })
}
