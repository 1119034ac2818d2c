//! The launches of both poolings.

use bytemuck::{Pod, Zeroable};

use super::{Pass, nested};
use crate::contract::{GpuTraits, Io, Kernel, Launch, Launches, MAX_ITERATIONS, OpDef, Slot, Window, grid};
use crate::ops::gather::GatherGrad;
use crate::ops::max_pool::{MaxPool, MaxPoolGrad};
use crate::ops::volume;
use crate::shape::TensorSpec;

/// The uniform of the poolings' kernels: how many elements they compute.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
}

/// A pooling of volumes `x` into `y`, or its gradient.
pub(in crate::ops) struct Pooling<'a> {
    pub window: &'a Window<3>,
    pub x: [usize; 3],
    pub y: [usize; 3],
    /// From `y` to `x`.
    pub back: bool,
}

impl Pooling<'_> {
    /// Elements that one element of what is computed reaches along every axis, at most.
    fn reach(&self) -> [usize; 3] {
        let Window { kernel, stride, .. } = self.window;
        std::array::from_fn(|axis| {
            if self.back {
                kernel[axis].div_ceil(stride[axis]).min(self.y[axis])
            } else {
                kernel[axis].min(self.x[axis])
            }
        })
    }

    /// Whether there is one slice alone, and no loop over slices.
    fn is_flat(&self) -> bool {
        self.x[0] == 1 && self.y[0] == 1 && self.window.kernel[0] == 1
    }

    fn iterations(&self) -> u64 {
        nested(&self.reach()[usize::from(self.is_flat())..], 0)
    }

    /// Whether one invocation may go through all that an element reaches.
    pub fn fits(&self) -> bool {
        self.iterations() <= MAX_ITERATIONS
    }

    /// The launch of `kernel`, which computes all in one pass, without bindings.
    pub fn launch(&self, kernel: Kernel, planes: usize) -> Launch {
        let before = [self.window.before(0), self.window.before(1), self.window.before(2)];
        let named = [
            (["D", "H", "W"], self.x),
            (["OD", "OH", "OW"], self.y),
            (["KD", "KH", "KW"], self.window.kernel),
            (["SD", "SH", "SW"], self.window.stride),
            (["FRONT", "TOP", "LEFT"], before),
        ];
        let sizes = named.into_iter().flat_map(|(names, values)| names.into_iter().zip(values));
        let kernel = sizes.fold(kernel, |kernel, (name, value)| kernel.define(name, value));
        let kernel = kernel.define("DEPTH", u32::from(!self.is_flat()));
        let n = planes * if self.back { self.x } else { self.y }.iter().product::<usize>();
        Launch::new(kernel, &Params { n: n as u32 }, grid(n)).iterations(self.iterations())
    }

    /// The passes that do the same along one axis after the other.
    pub fn passes(&self) -> Vec<Pass> {
        let (mut reach, Window { kernel, stride, .. }) = (self.reach(), self.window);
        for axis in (0..3).filter(|axis| (kernel[*axis], stride[*axis]) == (1, 1)) {
            reach[axis] = 0;
        }
        let (from, to) = if self.back { (self.y, self.x) } else { (self.x, self.y) };
        super::passes(from, to, reach, 0)
    }

    /// The launch of `kernel` for one of the passes, without bindings.
    pub fn pass(&self, kernel: Kernel, planes: usize, pass: &Pass) -> Launch {
        let own = |axis: usize| (self.window.kernel[axis], self.window.stride[axis], self.window.padding[axis]);
        let (extent, stride, padding) = if pass.merges { (pass.reach, pass.reach, [0; 2]) } else { own(pass.axis) };
        let window = Window {
            kernel: [1, extent, 1],
            stride: [1, stride, 1],
            padding: [[0; 2], padding, [0; 2]],
            dilation: [1; 3],
        };
        let (x, y) = if self.back { (pass.to, pass.from) } else { (pass.from, pass.to) };
        let along = Pooling { window: &window, x, y, back: self.back };
        if pass.parts == 1 {
            return along.launch(kernel, planes);
        }
        let (n, slices) = (planes * pass.results(), usize::from(along.is_flat()));
        let launch = along.launch(kernel.define("PARTS", pass.parts).define("PART", pass.each), planes);
        let iterations = nested(&[1, pass.each, 1][slices..], 0);
        Launch { workgroups: grid(n), params: bytemuck::bytes_of(&Params { n: n as u32 }).to_vec(), ..launch }
            .iterations(iterations)
    }
}

/// Samples times channels.
fn planes(spec: &TensorSpec) -> usize {
    spec.shape[..2].iter().product()
}

/// The launches of max-pooling.
pub(in crate::ops) fn maxima(window: &Window<3>, io: &Io) -> Launches {
    let (x, y, planes) = (volume(&io.inputs[0]), volume(&io.outputs[0]), planes(&io.inputs[0]));
    let (pooling, kernel) = (Pooling { window, x, y, back: false }, Kernel::of::<MaxPool>("max_pool"));
    if pooling.fits() {
        return pooling.launch(kernel, planes).bind_all(io).into();
    }
    super::maxima(planes, &pooling.passes(), |pass, positions| {
        pooling.pass(kernel.clone().define("FROM", u32::from(positions)), planes, pass)
    })
}

/// The launches of its gradient.
pub(in crate::ops) fn grad(window: &Window<3>, x: [usize; 3], io: &Io, gpu: &GpuTraits) -> Launches {
    let pooling = Pooling { window, x, y: volume(&io.inputs[1]), back: true };
    if pooling.fits() {
        let kernel = Kernel::of::<MaxPoolGrad>("max_pool_grad").define("GRAD", 1);
        return pooling.launch(kernel, planes(&io.inputs[1])).bind_all(io).into();
    }
    scattered(io, gpu)
}

/// `dx` from positions in each plane and `dy`, where an element lies in more windows than one invocation should look at: the rows of a
/// table that gather as many gradients, each sum in the order of the windows.
pub(in crate::ops) fn scattered(io: &Io, gpu: &GpuTraits) -> Launches {
    #[repr(C)]
    #[derive(Clone, Copy, Pod, Zeroable)]
    struct Params {
        n: u32,
        outputs: u32,
        inputs: u32,
        pad: u32,
    }
    let (dy, dx) = (&io.inputs[1].shape, &io.outputs[0].shape);
    let (n, planes) = (dy.elements(), planes(&io.inputs[1]));
    let params = Params { n: n as u32, outputs: (n / planes) as u32, inputs: (dx.elements() / planes) as u32, pad: 0 };
    let kernel = Kernel::of::<MaxPool>("max_pool_cells").define("CELLS", 1);
    let mut all = Launches::default();
    let cells = all.temp(TensorSpec::u32([n]));
    all.list.push(Launch::new(kernel, &params, grid(n)).read(Slot::Input(0)).write(cells));
    let sum = GatherGrad { rows: dx.elements(), padding: None };
    let io = Io {
        inputs: vec![TensorSpec::u32([n]), TensorSpec::f32([n])],
        outputs: vec![TensorSpec::f32([dx.elements()])],
    };
    all.append(sum.gpu(&io, gpu), &[cells, Slot::Input(1)], &[Slot::Output(0)]);
    all
}
