//! A convolution and the batch normalisation after it in one op: on a GPU, the workgroup that has a tile of the convolution's results in
//! its registers also knows their mean and squared deviations, and nobody reads the results once more for them.

use serde::{Deserialize, Serialize};

use super::gpu::{self, Kind};
use super::{Conv, Sizes};
use crate::contract::{CpuCall, GpuTraits, Io, Launches, OpDef, Real, Slot, View};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx};
use crate::ops::batch_norm::BatchNorm;
use crate::shape::TensorSpec;

/// [`BatchNorm`] of what [`Conv`] gives. Only [fusion](crate::graph) makes it, of the two.
///
/// Inputs: those of the convolution, then `gamma` and `beta`. Outputs: those of the normalisation, then the convolution's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvNorm {
    /// The convolution, without ReLU and residual.
    pub conv: Conv,
    /// The normalisation.
    pub norm: BatchNorm,
}

/// The outputs of a [`BatchNorm`].
const OF_NORM: usize = 4;

impl ConvNorm {
    /// Whether the op is faster on this GPU than the two that it stands for.
    pub(crate) fn pays(&self, inputs: &[TensorSpec], gpu: &GpuTraits) -> bool {
        let kind = Kind::Forward { bias: inputs.len() > 4, residual: false, relu: false, moments: true };
        let s = self.conv.known(&inputs[0].shape, &inputs[1].shape);
        !self.conv.relu && !self.conv.residual && BatchNorm::has_parts(z(&s)) && gpu::tiled(kind, &s, gpu).is_some()
    }

    /// The convolution's inputs and output, and those of the normalisation.
    fn split(&self, inputs: &[TensorSpec], outputs: &[TensorSpec]) -> [Io; 2] {
        let (of_conv, of_norm) = inputs.split_at(inputs.len() - 2);
        let (outputs, z) = outputs.split_at(OF_NORM);
        let inputs = z.iter().chain(of_norm).cloned().collect();
        [Io { inputs: of_conv.to_vec(), outputs: z.to_vec() }, Io { inputs, outputs: outputs.to_vec() }]
    }
}

/// The convolution's output as `[batch, channels, positions]`.
fn z(s: &Sizes) -> [usize; 3] {
    [s.batch, s.c_out, s.positions()]
}

impl OpDef for ConvNorm {
    const STEM: &'static str = "conv";
    const SHADER: &'static str = Conv::SHADER;

    fn name(&self) -> &str {
        "conv_norm"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        self.conv.expect_plain(self.name())?;
        let (of_conv, of_norm) = inputs.split_at(inputs.len().saturating_sub(2));
        let z = self.conv.infer(of_conv)?;
        let mut outputs = self.norm.infer(&[&z, of_norm].concat())?;
        outputs.extend(z);
        Ok(outputs)
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let [conv, norm] = self.split(&io.inputs, &io.outputs);
        let slots = |range: std::ops::Range<usize>| range.map(Slot::Input).collect::<Vec<_>>();
        let (first, z_slot) = (conv.inputs.len(), Slot::Output(OF_NORM));
        let s = self.conv.known(&conv.inputs[0].shape, &conv.inputs[1].shape);
        let kind = Kind::Forward { bias: first > 2, residual: false, relu: false, moments: true };
        let mut all = Launches::default();
        let Some([parts, piece]) = gpu::tiled(kind, &s, gpu) else {
            let outputs: Vec<_> = (0..OF_NORM).map(Slot::Output).collect();
            all.append(self.conv.gpu(&conv, gpu), &slots(0..first), &[z_slot]);
            all.append(self.norm.gpu(&norm, gpu), &[z_slot, Slot::Input(first), Slot::Input(first + 1)], &outputs);
            return all;
        };
        let spec = TensorSpec::f32([s.c_out, parts, 3]);
        let moments = all.temp(spec.clone());
        let with_moments = Io { inputs: conv.inputs, outputs: vec![conv.outputs[0].clone(), spec] };
        all.append(gpu::launches(kind, &s, &with_moments, gpu), &slots(0..first), &[z_slot, moments]);
        let merge = self.norm.merge_of(z(&s), parts, piece);
        all.list.push(merge.read(moments).write(Slot::Output(1)).write(Slot::Output(2)).write(Slot::Output(3)));
        let apply = self.norm.apply_of(z(&s)).read(z_slot).read(Slot::Input(first)).read(Slot::Input(first + 1));
        all.list.push(apply.read(Slot::Output(3)).write(Slot::Output(0)));
        all
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [conv, norm] = self.split(&call.io.inputs, &call.io.outputs);
        let (of_conv, of_norm) = call.x.split_at(conv.inputs.len());
        let (y, z) = call.y.split_at_mut(OF_NORM);
        let (z, scratch) = (z[0].f_mut(), call.scratch);
        let x = of_conv.iter().map(|x| View::F(x.f())).collect();
        let to = std::iter::once(View::FMut(&mut *z)).collect();
        self.conv.cpu(CpuCall { io: &conv, x, y: to, scratch: &mut *scratch });
        let x = std::iter::once(View::F(z)).chain(of_norm.iter().map(|x| View::F(x.f()))).collect();
        let y = y.iter_mut().map(|y| View::FMut(y.f_mut())).collect();
        self.norm.cpu(CpuCall { io: &norm, x, y, scratch });
    }

    fn scratch(&self, io: &Io) -> usize {
        let [conv, norm] = self.split(&io.inputs, &io.outputs);
        self.conv.scratch(&conv).max(self.norm.scratch(&norm))
    }

    fn flops(&self, io: &Io) -> u64 {
        self.conv.flops(&self.split(&io.inputs, &io.outputs)[0])
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("gradients are taken before ops are fused"); ctx.inputs()])
    }
}
