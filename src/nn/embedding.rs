use super::{BuildCtx, Initializer, Layer, Penalty};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::DType;

/// A vector for every token, looked up in a table that is trained: `[batch, ..]` of `u32` → `[batch, .., width]`.
///
/// `y[.., :] = embeddings[x[..], :]`. The token that stands for padding, where there is one, gives zeros, and its row is not trained.
///
/// The network's input knows the vocabulary, in a model that was opened from a file as well: training, evaluation and prediction refuse a
/// token that is not below it, with the sample. What is not known yet when the vocabulary is made (a new letter, a rare code) needs a token
/// of its own: keep one for it, and give it to some of the training's letters too, to rare ones or at random
/// ([`SequenceAugment`](crate::augment::SequenceAugment) with that token among its letters), so that its vector is trained.
///
/// Parameter: `embeddings` `[vocabulary, width]`, uniform in ±0.05 as in Keras.
///
/// ```
/// use galen::nn::{Embedding, Input, Network, Sequential};
///
/// let network = Sequential::new(Input::tokens([12])).with(Embedding::new(1000, 16).padding(0));
/// assert_eq!(&*network.summary()?.outputs[0], [12, 16]);
///
/// // 0 is padding, 1 is whatever is not known, letters follow.
/// const UNKNOWN: u32 = 1;
/// let token = |letter: char| "ACGT".find(letter).map_or(UNKNOWN, |place| place as u32 + 2);
/// let tokens: Vec<u32> = "GATNACA".chars().map(token).collect();
/// assert_eq!(tokens, [4, 2, 5, UNKNOWN, 2, 3, 2]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Embedding {
    vocabulary: usize,
    width: usize,
    padding: Option<u32>,
    initializer: Initializer,
    penalty: Penalty,
}

impl Embedding {
    /// Vectors of `width` numbers for the tokens `0..vocabulary`.
    pub fn new(vocabulary: usize, width: usize) -> Self {
        let initializer = Initializer::Uniform(-0.05, 0.05);
        Embedding { vocabulary, width, padding: None, initializer, penalty: Penalty::NONE }
    }

    /// This token stands for padding: it gives zeros, and its row of the table is not trained.
    #[must_use]
    pub fn padding(self, token: u32) -> Self {
        Embedding { padding: Some(token), ..self }
    }

    /// How the table begins.
    #[must_use]
    pub fn initializer(self, initializer: Initializer) -> Self {
        Embedding { initializer, ..self }
    }

    /// A penalty on the table, added to the loss.
    #[must_use]
    pub fn regularizer(self, penalty: Penalty) -> Self {
        Embedding { penalty, ..self }
    }

    /// Where there is a token: 1, and 0 where there is padding. `tokens` `[batch, time]` gives `f32` `[batch, time]`, the mask that
    /// attention takes.
    ///
    /// # Errors
    /// Where `tokens` are not `u32`, or the layer has no padding.
    pub fn mask(&self, tokens: &Var) -> Result<Var> {
        if self.padding.is_none() {
            return Err(Error::usage("embedding", "a mask needs a token that stands for padding: Embedding::padding"));
        }
        self.check(tokens)?;
        // A table of ones has zeros for padding.
        tokens.graph().fill([self.vocabulary], 1.0)?.gather_padded(tokens, self.padding)
    }

    fn check(&self, tokens: &Var) -> Result<()> {
        for (what, n) in [("vocabulary", self.vocabulary), ("width", self.width)] {
            if n == 0 {
                return Err(Error::parameter("embedding", what, "at least 1", n));
            }
        }
        if let Some(padding) = self.padding.filter(|p| *p as usize >= self.vocabulary) {
            let expected = format!("below the vocabulary of {}", self.vocabulary);
            return Err(Error::parameter("embedding", "padding", expected, padding));
        }
        if tokens.dtype() != DType::U32 {
            return Err(Error::dtype("embedding", "u32 (Input::tokens)", tokens.spec().to_string()));
        }
        Ok(())
    }
}

impl Layer for Embedding {
    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.check(x)?;
        self.penalty.check("embeddings")?;
        ctx.hold("embeddings", self.penalty, None);
        let init = self.initializer.init(self.vocabulary, self.width);
        let table = ctx.parameter(x.graph(), "embeddings", [self.vocabulary, self.width], init)?;
        table.gather_padded(x, self.padding)
    }
}
