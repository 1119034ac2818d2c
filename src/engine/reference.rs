//! A run in double precision: the truth that shaders, fast kernels and gradients are compared with.

use std::sync::Arc;

use super::initial::initial_values;
use crate::cpu::{Machine, Program, Threads};
use crate::error::{Error, Result};
use crate::graph::{Graph, Place, Plan, Region, Var};
use crate::shape::{DType, TensorSpec};
use crate::tensor::{Elements, Tensor};

/// A graph made ready to run on the CPU in `f64`.
#[derive(Debug)]
pub struct Reference {
    machine: Machine<f64>,
    program: Program,
}

impl Reference {
    /// Makes `graph` ready; state begins as it does in a [`super::Session`] of the same seed.
    ///
    /// # Errors
    /// Where a fetched variable belongs to another graph.
    pub fn new(graph: &Graph, fetch: &[Var], seed: u64) -> Result<Reference> {
        let plan = Arc::new(Plan::new(graph, fetch, None)?);
        let mut machine = Machine::new(Threads::new(1)?);
        for arena in &plan.arenas {
            machine.ensure_arena(arena)?;
            for slot in &arena.slots {
                machine.write_arena(&arena.name, slot.offset, initial_values(seed, slot)?.elements())?;
            }
        }
        let program = machine.prepare(plan)?;
        Ok(Reference { machine, program })
    }

    /// Writes an input.
    ///
    /// # Errors
    /// Where there is no such input or it holds another number of elements or type.
    pub fn set(&mut self, name: &str, elements: Elements<'_>) -> Result<()> {
        let region = self.program.plan().input(name)?.clone();
        self.machine.write(&self.program, &region, elements)
    }

    /// Adds `by` to one element of a float input.
    ///
    /// # Errors
    /// Where there is no such input.
    pub fn nudge(&mut self, name: &str, element: usize, by: f64) -> Result<()> {
        let region = self.program.plan().input(name)?.clone();
        self.machine.floats_mut(&self.program, &region)[element] += by;
        Ok(())
    }

    /// Adds `by` to one element of a piece of state, counted from the beginning of its arena.
    ///
    /// # Errors
    /// Where the graph does not use such an arena of floats, or it is not as long.
    pub fn nudge_state(&mut self, arena: &str, element: usize, by: f64) -> Result<()> {
        let arenas = &self.program.plan().arenas;
        let index = arenas.iter().position(|a| a.name == arena && element < a.len);
        let index = index.ok_or_else(|| Error::usage(format!("state \"{arena}\""), "the graph has none so long"))?;
        let region = Region { place: Place::Arena(index), offset: element, spec: TensorSpec::f32([1]) };
        let floats = self.machine.floats_mut(&self.program, &region);
        let float = floats.first_mut().ok_or_else(|| Error::dtype(format!("state \"{arena}\""), "f32", "integers"))?;
        *float += by;
        Ok(())
    }

    /// Puts what `of` makes of it in the place of every number of the float inputs, as they were set, and of the float state.
    pub fn change_floats(&mut self, mut of: impl FnMut(f64) -> f64) {
        let plan = self.program.plan();
        let inputs = plan.inputs.iter().map(|(_, region)| region.clone()).filter(|r| r.spec.dtype == DType::F32);
        let whole = |(index, len)| Region { place: Place::Arena(index), offset: 0, spec: TensorSpec::f32([len]) };
        let arenas = plan.arenas.iter().map(|arena| arena.len).enumerate().map(whole);
        for region in inputs.chain(arenas).collect::<Vec<_>>() {
            for number in self.machine.floats_mut(&self.program, &region) {
                *number = of(*number);
            }
        }
    }

    /// Fills activation memory with NaN. Inputs must be written after it.
    pub fn poison(&mut self) {
        self.machine.poison();
    }

    /// Runs the graph once. Where an op panics, [`Reference::outputs`] says so.
    pub fn run(&mut self) {
        // The machine remembers it.
        let _ = self.machine.run(&self.program);
    }

    /// What was fetched, integers as floats, in the order of the fetches.
    ///
    /// # Errors
    /// Where an op panicked; where a region lies outside of its memory, which would be a bug of ours.
    pub fn outputs(&self) -> Result<Vec<Vec<f64>>> {
        self.machine.expect_whole()?;
        let one = |region: &Region| match region.spec.dtype {
            DType::F32 => Ok(self.machine.floats(&self.program, region).to_vec()),
            _ => Ok(match self.machine.read(&self.program, region)? {
                Tensor::U32(x) => x.iter().map(|v| f64::from(*v)).collect(),
                Tensor::U8(x) => x.iter().map(|v| f64::from(*v)).collect(),
                Tensor::F32(x) => x.iter().map(|v| f64::from(*v)).collect(),
            }),
        };
        self.program.plan().outputs.iter().map(one).collect()
    }
}
