//! The case table: every stem's rows, one file per stem. Parity, gradients and oracle all run over it.

use galen::contract::clock;
use galen::graph::Init;
use galen::{DType, Graph, Result, Shape, TensorSpec, Var};

macro_rules! table {
    ($($stem:ident),* $(,)?) => {
        $(mod $stem;)*

        /// All rows, with the stem that each belongs to.
        pub fn all() -> Vec<Row> {
            let mut rows = Vec::new();
            $(rows.extend($stem::rows().into_iter().map(|row| Row { stem: stringify!($stem), ..row }));)*
            rows
        }
    };
}

table! {
    accumulate,
    accuracy,
    adaptive_avg_pool,
    adaptive_max_pool,
    argmax,
    avg_pool,
    batch_norm,
    binary,
    binary_cross_entropy,
    blur,
    cast,
    chain,
    check_finite,
    clip_norm,
    colour,
    concat,
    conv,
    copy,
    cross_entropy,
    cutout,
    dropout,
    ema,
    fill,
    gather,
    gather_batch,
    group_norm,
    gru,
    lstm,
    masked_softmax,
    matmul,
    max_norm,
    max_pool,
    moving_average,
    mutate,
    one_hot,
    pad,
    penalty,
    random,
    record,
    reduce,
    resize,
    rnn,
    select,
    signal,
    slice,
    softmax,
    tick,
    transpose,
    unary,
    update,
    warp,
}

/// The rows that `GALEN_ROWS` names (a comma-separated list of stems or beginnings of `stem/name`); all without it.
///
/// # Panics
/// Where a name is that of no row: a check of nothing would pass.
pub fn chosen() -> Vec<Row> {
    let wanted = std::env::var("GALEN_ROWS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
    let mut rows = all();
    let is = |row: &Row, name: &str| format!("{}/{}", row.stem, row.name).starts_with(name);
    for name in &wanted {
        let stems = galen::ops::STEMS.join(", ");
        assert!(rows.iter().any(|row| is(row, name)), "GALEN_ROWS: no row begins with \"{name}\"; stems are {stems}");
    }
    rows.retain(|row| wanted.is_empty() || wanted.iter().any(|name| is(row, name)));
    rows
}

/// How an input's elements are made, from the row's own random stream.
#[derive(Clone, Debug)]
#[allow(dead_code)]
pub enum Values {
    /// Standard normal.
    Normal,
    /// Uniform between two bounds.
    Uniform(f32, f32),
    /// Between 0.2 and 1.2 away from zero, either sign: off the kink of relu and abs.
    OffZero,
    /// All different, at least 0.05 apart, shuffled: no ties for max.
    Distinct,
    /// Whole numbers below this, as floats: ties on purpose.
    Whole(u32),
    /// Indices below this (for `u32` inputs) or bytes below this (for `u8`).
    Below(u32),
    /// Exactly these.
    Exactly(Vec<f32>),
}

/// How far the GPU's f32 result may be from the f64 twin's, element by element.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)]
pub enum Bound {
    /// Not at all (after rounding the twin's result to f32): copies, selections, integers.
    Exact,
    /// This many times 2⁻²⁴ of the element's own size: element-wise functions.
    Ulps(f64),
    /// This many times 2⁻²⁴ · Σ|terms|, where Σ|terms| is the same graph run on the inputs' absolute values: sums of products.
    Terms(f64),
    /// This many times 2⁻²⁴ of the element's own size and of what rounding the graph's inputs to f32 changes in it, in units of 2⁻²⁴,
    /// but of no more than the largest element: whatever is made in several steps. Where steps cancel, so does their rounding, and the
    /// bound follows.
    Rounding(f64),
    /// This many times 2⁻²⁴ of the element's own size, and of 1 at least: numbers that come from no input, such as random ones, and
    /// what numbers near 1 leave where they cancel whatever the inputs are, as 1 less a probability of 1.
    Unit(f64),
    /// This many times 2⁻²⁴ of the largest element of the tensor: comparisons with what others computed. No row has it, since small
    /// elements may be anything.
    Scale(f64),
}

/// One input of a row.
#[derive(Clone, Debug)]
pub struct Feed {
    pub shape: Shape,
    pub dtype: DType,
    pub values: Values,
}

/// Builds the row's graph from its inputs and gives the outputs to compare.
pub type Build = Box<dyn Fn(&Graph, &[Var]) -> Result<Vec<Var>>>;

/// One case: inputs, a graph over them, and how exact the result must be.
pub struct Row {
    pub stem: &'static str,
    pub name: String,
    pub feeds: Vec<Feed>,
    pub build: Build,
    /// For the outputs.
    pub forward: Bound,
    /// For the gradients with respect to every input in `wrt`.
    pub backward: Bound,
    /// For single results, by their number, in place of the two above.
    pub single: Vec<(usize, Bound)>,
    /// Inputs (by index) whose gradients are checked: GPU against twin, and twin against finite differences in f64.
    pub wrt: Vec<usize>,
}

#[allow(dead_code)]
impl Row {
    /// A row named `name` whose graph is made by `build`; give it inputs with [`Row::f32`] and friends.
    pub fn new(name: &str, build: impl Fn(&Graph, &[Var]) -> Result<Vec<Var>> + 'static) -> Self {
        Row {
            stem: "",
            name: name.to_owned(),
            feeds: Vec::new(),
            build: Box::new(build),
            forward: Bound::Ulps(4.0),
            backward: Bound::Rounding(16.0),
            single: Vec::new(),
            wrt: Vec::new(),
        }
    }

    /// Adds a float input whose gradient is checked.
    pub fn f32(mut self, shape: impl Into<Shape>, values: Values) -> Self {
        self.wrt.push(self.feeds.len());
        self.constant(shape, values)
    }

    /// Adds a float input whose gradient is not checked.
    pub fn constant(mut self, shape: impl Into<Shape>, values: Values) -> Self {
        self.feeds.push(Feed { shape: shape.into(), dtype: DType::F32, values });
        self
    }

    /// Adds an integer input.
    pub fn u32(mut self, shape: impl Into<Shape>, below: u32) -> Self {
        self.feeds.push(Feed { shape: shape.into(), dtype: DType::U32, values: Values::Below(below) });
        self
    }

    /// Adds an input of bytes.
    pub fn u8(mut self, shape: impl Into<Shape>) -> Self {
        self.feeds.push(Feed { shape: shape.into(), dtype: DType::U8, values: Values::Below(256) });
        self
    }

    /// How exact a single result must be, outputs before gradients.
    pub fn bound_of(mut self, result: usize, bound: Bound) -> Self {
        self.single.push((result, bound));
        self
    }

    /// How exact outputs and gradients must be.
    pub fn bounds(mut self, forward: Bound, backward: Bound) -> Self {
        (self.forward, self.backward) = (forward, backward);
        self
    }
}

/// State of exactly these words, alone in an arena of its own name.
pub fn words(graph: &Graph, name: &str, words: &[u32]) -> Result<Var> {
    graph.state(name, name, TensorSpec::u32([words.len()]), Init::Words(words.into()))
}

/// A clock in step `step`, with a seed that fills both words.
pub fn clock_at(graph: &Graph, step: u32) -> Result<Var> {
    words(graph, "clock", &clock::clock(step, 0x0123_4567_89ab_cdef))
}

/// A clock in step `step` that went bad in step `bad`.
pub fn faulty_clock(graph: &Graph, step: u32, bad: u32) -> Result<Var> {
    let mut words = clock::clock(step, 5);
    words[clock::FAULT] = bad + 1;
    self::words(graph, "clock", &words)
}

/// The schedule of an epoch from step `base` on.
pub fn schedule(graph: &Graph, base: u32, rates: &[f32]) -> Result<Var> {
    words(graph, "schedule", &clock::schedule(base, rates))
}

/// A whole arena of two slots and the zeros between them. Its numbers are between -1 and 1, or between 0 and 1.
pub fn arena(graph: &Graph, name: &str, len: usize, positive: bool) -> Result<Var> {
    arena_in(graph, name, len, if positive { 0.0 } else { -1.0 }, 1.0)
}

/// Like [`arena`], with numbers between `low` and `high`.
pub fn arena_in(graph: &Graph, name: &str, len: usize, low: f32, high: f32) -> Result<Var> {
    let mut random = galen::contract::Threefry::new(3, galen::contract::stream_of(name));
    let mut slot = |slot: &str, len: usize| {
        let values: Vec<f32> = (0..len).map(|_| low + (high - low) * random.uniform()).collect();
        graph.state(name, slot, TensorSpec::f32([len]), Init::Values(values.into()))
    };
    slot("first", 7)?;
    slot("second", len)?;
    graph.whole(name)
}

/// A table of groups for such an arena: the first slot belongs to the first group, the blocks of the second to all in turn.
pub fn groups(graph: &Graph, name: &str, len: usize, groups: &[[f32; 2]]) -> Result<Var> {
    let blocks: Vec<u32> = (0..1 + len.div_ceil(64)).map(|block| (block % groups.len()) as u32).collect();
    words(graph, name, &galen::contract::blocks::table(groups, &blocks))
}
