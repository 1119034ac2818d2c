//! Chains of element-wise functions, computed in one pass over memory: what lies between them is never written.
//!
//! Only [fusion](crate::graph) makes one, of nodes that were differentiated before, when a plan is made: so it has no gradient, and
//! no file holds one. The functions are those of `unary`, `binary` and `select`, in the order in which the graph had them, and
//! so are the results, bit by bit on the CPU.

use serde::{Deserialize, Serialize};

use super::binary::{BinaryFn, Walk};
use super::unary::UnaryFn;
use super::{expect_dtype, indices};
use crate::contract::{
    CpuCall, GROUP_SIZE, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx};
use crate::shape::{DType, Shape, TensorSpec};

/// Inputs of a chain at most: with its output they are as many storage buffers as WebGPU guarantees.
pub(crate) const MOST_INPUTS: usize = 7;
/// Links of a chain at most.
pub(crate) const MOST_LINKS: usize = 9;
/// Elements that the twin takes through all links at a time; their values stay in the fastest cache.
const BLOCK: usize = 256;
/// Elements of an invocation on a GPU that has more lanes than most tensors need.
const PER_LANE: usize = 4;

/// One pass over floats whose shapes broadcast to that of the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The names of the functions, joined: what listings call it.
    pub name: String,
    /// The functions; each of them sees the inputs and the results of those before it. The last one's is the output.
    pub links: Vec<Link>,
}

/// A function of a [`Chain`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Which function.
    pub function: LinkFn,
    /// What it is applied to: an input by its number, or a link by its own plus the number of inputs.
    pub arguments: Vec<usize>,
}

/// The functions of a [`Chain`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LinkFn {
    /// [`Unary`](super::unary::Unary)
    Unary(UnaryFn),
    /// [`UnaryGrad`](super::unary::UnaryGrad)
    UnaryGrad(UnaryFn),
    /// [`Binary`](super::binary::Binary)
    Binary(BinaryFn),
    /// [`Select`](super::select::Select)
    Select,
}

impl LinkFn {
    fn arity(self) -> usize {
        match self {
            LinkFn::Unary(_) => 1,
            LinkFn::Binary(_) => 2,
            LinkFn::UnaryGrad(_) | LinkFn::Select => 3,
        }
    }

    fn needs_math(self) -> bool {
        match self {
            LinkFn::Unary(f) | LinkFn::UnaryGrad(f) => f.needs_math(),
            LinkFn::Binary(f) => f == BinaryFn::Pow,
            LinkFn::Select => false,
        }
    }

    fn constants(self) -> [f32; 2] {
        match self {
            LinkFn::Unary(f) | LinkFn::UnaryGrad(f) => f.constants(),
            LinkFn::Binary(_) | LinkFn::Select => [0.0; 2],
        }
    }

    /// The function as number `n` of its chain, in WGSL.
    fn wgsl(self, n: usize) -> String {
        let own = |text: &str| {
            let text = text.replace("p.c", &format!("p.constants[{n}].x"));
            text.replace("p.d", &format!("p.constants[{n}].y"))
        };
        match self {
            LinkFn::Unary(f) => format!("fn f{n}(x: f32) -> f32 {{\n    return {};\n}}", own(&f.wgsl_of_any())),
            LinkFn::UnaryGrad(f) => {
                format!("fn f{n}(x: f32, y: f32, dy: f32) -> f32 {{\n    return dy * ({});\n}}", own(f.wgsl_slope()))
            }
            LinkFn::Binary(f) => format!("fn f{n}(a: f32, b: f32) -> f32 {{\n    return {};\n}}", f.wgsl()),
            LinkFn::Select => format!(
                "fn f{n}(c: f32, a: f32, b: f32) -> f32 {{\n    return select(b, a, c != 0.0 || is_nan_bits(c));\n}}"
            ),
        }
    }
}

impl Chain {
    /// How the inputs are walked; those that a chain could have besides are walked like the output.
    fn walk(&self, io: &Io) -> Walk<MOST_INPUTS> {
        let y = &io.outputs[0].shape;
        Walk::new(std::array::from_fn(|i| io.inputs.get(i).map_or(y, |x| &x.shape)), y)
    }

    fn kernel(&self, inputs: usize, walk: &Walk<MOST_INPUTS>, per_lane: usize) -> Kernel {
        let functions: Vec<String> = self.links.iter().enumerate().map(|(n, link)| link.function.wgsl(n)).collect();
        let call = |(n, link): (usize, &Link)| {
            let arguments: Vec<String> = link.arguments.iter().map(|a| format!("v{a}")).collect();
            format!("        let v{} = f{n}({});", inputs + n, arguments.join(", "))
        };
        let calls: Vec<String> = self.links.iter().enumerate().map(call).collect();
        Kernel::of::<Self>("chain")
            .define("INPUTS", inputs)
            .define("LINKS", self.links.len())
            .define("RANK", if walk.is_flat() { 0 } else { walk.dims.len() })
            .define("PER_LANE", per_lane)
            .define("MATH", u32::from(self.links.iter().any(|link| link.function.needs_math())))
            .define("FUNCTIONS", functions.join("\n"))
            .define("CALLS", calls.join("\n"))
    }

    /// Computes the elements of the output from number `start` on.
    fn blocks<T: Real>(&self, inputs: &Inputs<'_, '_, T>, start: usize, y: &mut [T]) {
        let mut values = [[T::zero(); BLOCK]; MOST_INPUTS + MOST_LINKS];
        let own = inputs.x.len();
        for (index, y) in y.chunks_mut(BLOCK).enumerate() {
            let (at, len) = (start + index * BLOCK, y.len());
            for (i, value) in values[..own].iter_mut().enumerate().filter(|(i, _)| !inputs.walked_alike(*i)) {
                inputs.gather(i, at, &mut value[..len]);
            }
            let last = self.links.len() - 1;
            for (n, link) in self.links.iter().enumerate() {
                let (before, rest) = values.split_at_mut(own + n);
                let argument = |k: usize| match link.arguments[k] {
                    a if a < own && inputs.walked_alike(a) => &inputs.x[a][at..at + len],
                    a => &before[a][..len],
                };
                let out = if n == last { &mut *y } else { &mut rest[0][..len] };
                match link.function {
                    LinkFn::Unary(f) => f.apply(argument(0), out),
                    LinkFn::UnaryGrad(f) => f.apply_slope([argument(0), argument(1), argument(2)], out),
                    LinkFn::Binary(f) => f.apply(argument(0), argument(1), out),
                    LinkFn::Select => {
                        let sources = argument(0).iter().zip(argument(1)).zip(argument(2));
                        let choose = |((c, a), b): ((&T, &T), &T)| if *c != T::zero() { *a } else { *b };
                        out.iter_mut().zip(sources).for_each(|(y, source)| *y = choose(source));
                    }
                }
            }
        }
    }
}

/// The inputs of a chain and how they are walked.
struct Inputs<'a, 'x, T> {
    x: &'a [&'x [T]],
    walk: &'a Walk<MOST_INPUTS>,
    flat: bool,
}

impl<T: Real> Inputs<'_, '_, T> {
    /// Whether the input has an element for each of the output's, in its order.
    fn walked_alike(&self, input: usize) -> bool {
        self.flat || {
            let (strides, dims) = (&self.walk.strides[input], &self.walk.dims);
            (0..dims.len()).all(|axis| strides[axis] == dims[axis + 1..].iter().product::<usize>())
        }
    }

    /// The input's elements for those of the output from number `start` on.
    fn gather(&self, input: usize, start: usize, out: &mut [T]) {
        let (width, strides) = self.walk.last();
        let (x, mut at, mut out) = (self.x[input], start, out);
        while !out.is_empty() {
            let column = at % width;
            let len = (width - column).min(out.len());
            let first = self.walk.row(at / width)[input];
            let (part, rest) = std::mem::take(&mut out).split_at_mut(len);
            if strides[input] == 0 {
                part.fill(x[first]);
            } else {
                part.copy_from_slice(&x[first + column..][..len]);
            }
            (at, out) = (at + len, rest);
        }
    }
}

impl OpDef for Chain {
    stem!("chain");

    fn name(&self) -> &str {
        &self.name
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let whole = |n: usize, link: &Link| {
            link.arguments.len() == link.function.arity() && link.arguments.iter().all(|a| *a < inputs.len() + n)
        };
        let known = self.links.iter().enumerate().all(|(n, link)| whole(n, link));
        if self.links.is_empty() || self.links.len() > MOST_LINKS || inputs.len() > MOST_INPUTS || !known {
            let expected = format!("1 to {MOST_LINKS} functions of at most {MOST_INPUTS} inputs and of each other");
            return Err(Error::parameter(Self::STEM, "links", expected, format!("{:?}", self.links)));
        }
        for link in &self.links {
            if let LinkFn::Unary(f) | LinkFn::UnaryGrad(f) = link.function {
                f.check()?;
            }
        }
        let mut shape = Shape::default();
        for x in inputs {
            expect_dtype(Self::STEM, x, DType::F32)?;
            shape = shape.broadcast(&x.shape).ok_or_else(|| {
                Error::shape(Self::STEM, format!("a shape that broadcasts with {shape}"), x.shape.to_string())
            })?;
        }
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (walk, n) = (self.walk(io), io.outputs[0].shape.elements());
        let per_lane = if gpu.software || n < PER_LANE * GROUP_SIZE { 1 } else { PER_LANE };
        let lanes = n.div_ceil(per_lane);
        // The uniform has as many fields as the chain has inputs and links: words, not a struct.
        let mut words: Vec<u32> = indices(&walk.dims, 1).to_vec();
        walk.strides[..io.inputs.len()].iter().for_each(|strides| words.extend(indices(strides, 0)));
        for link in &self.links {
            let [c, d] = link.function.constants();
            words.extend([c.to_bits(), d.to_bits(), 0, 0]);
        }
        words.extend([n as u32, lanes as u32, 0, 0]);
        let kernel = self.kernel(io.inputs.len(), &walk, per_lane);
        let params = bytemuck::cast_slice(&words).to_vec();
        Launch { kernel, params, bindings: Vec::new(), workgroups: grid(lanes), iterations: 0 }.bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = self.walk(call.io);
        let x: Vec<&[T]> = call.x.iter().map(|x| x.f()).collect();
        let inputs = Inputs { x: &x, walk: &walk, flat: walk.is_flat() };
        parallel_chunks(call.y[0].f_mut(), |start, y| self.blocks(&inputs, start, y));
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok((0..ctx.inputs()).map(|_| Grad::Unsupported("chains, which are made after differentiation")).collect())
    }
}
