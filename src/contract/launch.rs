//! GPU work as plain data: which kernel, which parameters, which buffers, how many workgroups. No device is named here, so
//! launch arithmetic is tested without one.

use std::borrow::Cow;
use std::sync::Arc;

use bytemuck::Pod;

use super::{GROUP_SIZE, Io, OpDef};
use crate::error::Result;
use crate::shape::TensorSpec;

/// Workgroups that WebGPU guarantees along one dimension of a dispatch.
const MAX_GROUPS: u64 = 65_535;

/// The most loop iterations that an invocation of Galen's own kernels may take. Mesa's llvmpipe ends every loop of an invocation after
/// 65,535 iterations in all, without an error; on a graphics card a loop of that length is slow and may meet the driver's time limit.
pub const MAX_ITERATIONS: u64 = 16_384;

/// The loop iterations after which Mesa's llvmpipe ends every loop of an invocation, silently (`LP_MAX_TGSI_LOOP_ITERATIONS`). A launch
/// that says it takes more is refused on every software adapter.
pub const SOFTWARE_ITERATIONS: u64 = 65_535;

/// What a kernel's author may know of the adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GpuTraits {
    /// The adapter is a program on the processor (lavapipe, SwiftShader, WARP): register tiles without workgroup memory are the
    /// fast form there, workgroup tiles everywhere else. Such an adapter may end the loops of an invocation after
    /// [`SOFTWARE_ITERATIONS`] in all, silently.
    pub software: bool,
}

/// A kernel: an entry point in a WGSL template, with the template's definitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// The stem of the shader, or the custom op's name.
    pub stem: Cow<'static, str>,
    /// The WGSL template.
    pub source: Source,
    /// The entry point.
    pub entry: Cow<'static, str>,
    /// Values for the template's names.
    pub defines: Vec<(&'static str, String)>,
}

/// Where a kernel's text comes from; it decides how far the text is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// One of ours, built without run-time checks.
    Own(&'static str),
    /// A user's, built with every run-time check.
    Custom(Arc<str>),
}

impl Kernel {
    /// Entry point `entry` of the op's own shader.
    pub fn of<O: OpDef>(entry: &'static str) -> Self {
        Kernel { stem: O::STEM.into(), source: Source::Own(O::SHADER), entry: entry.into(), defines: Vec::new() }
    }

    /// Entry point `entry` of a user's shader. A launch of a kernel with loops says how long they are: see [`Launch::iterations`].
    pub fn custom(name: impl Into<String>, wgsl: impl Into<Arc<str>>, entry: impl Into<String>) -> Self {
        Kernel {
            stem: Cow::Owned(name.into()),
            source: Source::Custom(wgsl.into()),
            entry: Cow::Owned(entry.into()),
            defines: Vec::new(),
        }
    }

    /// The same kernel with `name` standing for `value` in the template.
    #[must_use]
    pub fn define(mut self, name: &'static str, value: impl ToString) -> Self {
        self.defines.push((name, value.to_string()));
        self
    }

    /// The WGSL that is compiled: the template with its definitions and includes filled in.
    ///
    /// # Errors
    /// On a mistake in the template, with the line.
    pub fn wgsl(&self) -> Result<String> {
        match &self.source {
            Source::Own(text) => super::expand(text, &self.defines),
            Source::Custom(text) => super::expand(text, &self.defines),
        }
    }
}

/// Which tensor of the op stands at a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The op's input of this index.
    Input(usize),
    /// The op's output of this index.
    Output(usize),
    /// The op's temporary of this index.
    Temp(usize),
}

/// How a kernel uses a binding; must agree with its WGSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// A storage binding of a launch. Binding 0 is always the uniform `Params`; these follow from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    /// The tensor.
    pub slot: Slot,
    /// How it is used.
    pub access: Access,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// The bytes of the uniform `Params` struct at binding 0.
    pub params: Vec<u8>,
    /// The storage bindings, from binding 1 on.
    pub bindings: Vec<Binding>,
    /// Workgroups along x, y, z.
    pub workgroups: [u32; 3],
    /// The loop iterations of the invocation that takes most: summed over its loops, those of nested loops multiplied. Loops of a
    /// length that the kernel's text fixes count too; 0 says that there is no loop. Galen's own launches take at most
    /// [`MAX_ITERATIONS`]. A launch that says more than [`SOFTWARE_ITERATIONS`] is refused on a software adapter, which would end the
    /// loop early and give a wrong result without an error.
    pub iterations: u64,
}

impl Launch {
    /// A launch of `kernel` with `params`, without bindings yet.
    pub fn new<P: Pod>(kernel: Kernel, params: &P, workgroups: [u32; 3]) -> Self {
        let params = bytemuck::bytes_of(params).to_vec();
        Launch { kernel, params, bindings: Vec::new(), workgroups, iterations: 0 }
    }

    /// Says how many loop iterations an invocation takes at most: see [`Launch::iterations`].
    #[must_use]
    pub fn iterations(self, iterations: u64) -> Self {
        Launch { iterations, ..self }
    }

    /// Adds a binding that the kernel reads.
    #[must_use]
    pub fn read(mut self, slot: Slot) -> Self {
        self.bindings.push(Binding { slot, access: Access::Read });
        self
    }

    /// Adds a binding that the kernel writes.
    #[must_use]
    pub fn write(mut self, slot: Slot) -> Self {
        self.bindings.push(Binding { slot, access: Access::Write });
        self
    }

    /// Adds all of the op's inputs, read, then all of its outputs, written: the usual order.
    #[must_use]
    pub fn bind_all(self, io: &Io) -> Self {
        self.bind_in_place(io, &[])
    }

    /// Like [`Launch::bind_all`], for an op that changes the inputs of these indices in place (see [`OpDef::writes`]).
    #[must_use]
    pub fn bind_in_place(mut self, io: &Io, writes: &[usize]) -> Self {
        for i in 0..io.inputs.len() {
            let slot = Slot::Input(i);
            self = if writes.contains(&i) { self.write(slot) } else { self.read(slot) };
        }
        for i in 0..io.outputs.len() {
            self = self.write(Slot::Output(i));
        }
        self
    }
}

/// An op's dispatches, in order, and the temporaries that they share.
#[derive(Clone, Debug, Default)]
pub struct Launches {
    /// The dispatches.
    pub list: Vec<Launch>,
    /// Memory that lives only while this op runs.
    pub temps: Vec<TensorSpec>,
}

impl Launches {
    /// Memory of this spec that lives only while the op runs.
    pub fn temp(&mut self, spec: TensorSpec) -> Slot {
        self.temps.push(spec);
        Slot::Temp(self.temps.len() - 1)
    }

    /// Adds the dispatches of another op, whose inputs and outputs are these of ours.
    pub fn append(&mut self, other: Launches, inputs: &[Slot], outputs: &[Slot]) {
        let first = self.temps.len();
        self.temps.extend(other.temps);
        self.list.extend(other.list.into_iter().map(|mut launch| {
            for binding in &mut launch.bindings {
                binding.slot = match binding.slot {
                    Slot::Input(i) => inputs[i],
                    Slot::Output(i) => outputs[i],
                    Slot::Temp(i) => Slot::Temp(first + i),
                };
            }
            launch
        }));
    }
}

impl From<Launch> for Launches {
    fn from(launch: Launch) -> Self {
        Launches { list: vec![launch], temps: Vec::new() }
    }
}

/// Workgroups for one invocation per element, with [`GROUP_SIZE`] invocations each; long grids are folded into y.
/// A kernel finds its element with `linear_id` from `shared/index.wgsl`.
pub fn grid(elements: usize) -> [u32; 3] {
    fold(elements.div_ceil(GROUP_SIZE).max(1))
}

/// So many workgroups along x, and more along y where x does not hold them.
pub fn fold(groups: usize) -> [u32; 3] {
    if groups as u64 <= MAX_GROUPS {
        return [groups as u32, 1, 1];
    }
    let x = 32_768;
    [x as u32, groups.div_ceil(x) as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_covers_every_element_and_stays_within_the_limit() {
        for n in [1, 63, 64, 65, 1 << 20, 65_535 * 64, 65_535 * 64 + 1, 500_000_000] {
            let [x, y, z] = grid(n);
            assert!(u64::from(x) <= MAX_GROUPS && u64::from(y) <= MAX_GROUPS && z == 1);
            assert!(u64::from(x) * u64::from(y) * GROUP_SIZE as u64 >= n as u64, "{n}");
        }
    }
}
