use super::{AugmentCtx, Augmentation, input};
use crate::error::{Error, Result};
use crate::graph::{Init, Var};
use crate::ops::mutate::Mutate;
use crate::shape::{DType, TensorSpec};

/// Changes sequences of letters: tokens, u32 `[time]`, or one-hot letters, floats `[letters, time]`. Nothing is on at first. What holds for
/// single places of a sequence (a target per letter) does not follow a strand that is turned.
///
/// ```
/// use galen::augment::{Augmentation, SequenceAugment};
///
/// // A, C, G, T are the tokens 1 to 4; 0 is padding.
/// let augment = SequenceAugment::dna().first_token(1).mutation(0.01).reverse_complement(0.5);
/// augment.check()?;
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SequenceAugment {
    input: usize,
    lengths: Option<usize>,
    complements: Option<Vec<u32>>,
    op: Mutate,
}

impl SequenceAugment {
    /// For an alphabet of so many letters (1 to 256) without complements, such as the 20 amino acids.
    pub fn letters(letters: u32) -> Self {
        let op = Mutate { first: 0, letters, rate: 0.0, reverse: 0.0 };
        SequenceAugment { input: 0, lengths: None, complements: None, op }
    }

    /// For A, C, G, T, in this order: A and T, C and G are complements.
    pub fn dna() -> Self {
        Self::letters(4).complements([3, 2, 1, 0])
    }

    /// The complement of every letter, in their order.
    #[must_use]
    pub fn complements(self, complements: impl Into<Vec<u32>>) -> Self {
        SequenceAugment { complements: Some(complements.into()), ..self }
    }

    /// Which of the network's inputs holds the sequences; the first if not said.
    #[must_use]
    pub fn input(self, index: usize) -> Self {
        SequenceAugment { input: index, ..self }
    }

    /// Which of the network's inputs holds the sequences' lengths, u32. What lies behind a length stays as it is.
    #[must_use]
    pub fn lengths(self, input: usize) -> Self {
        SequenceAugment { lengths: Some(input), ..self }
    }

    /// The token of the first letter, 0 if not said. Tokens that are no letters (padding, N) stay what they are.
    #[must_use]
    pub fn first_token(mut self, token: u32) -> Self {
        self.op.first = token;
        self
    }

    /// Every letter becomes another one with this probability, each of the others alike.
    #[must_use]
    pub fn mutation(mut self, probability: f32) -> Self {
        self.op.rate = probability;
        self
    }

    /// This share of the samples is read from the other strand: from end to start, every letter as its complement.
    #[must_use]
    pub fn reverse_complement(mut self, probability: f32) -> Self {
        self.op.reverse = probability;
        self
    }
}

impl Augmentation for SequenceAugment {
    fn check(&self) -> Result<()> {
        self.op.check()?;
        let letters = self.op.letters;
        match &self.complements {
            None if self.op.reverse > 0.0 => {
                Err(Error::usage("augment", "a reverse complement needs the letters' complements"))
            }
            Some(table) => {
                let back = |letter: u32| table.get(letter as usize).and_then(|c| table.get(*c as usize)).copied();
                let paired = table.len() == letters as usize && (0..letters).all(|letter| back(letter) == Some(letter));
                if paired {
                    return Ok(());
                }
                let expected = format!("{letters} letters, each its complement's complement");
                Err(Error::parameter("augment", "complements", expected, format!("{table:?}")))
            }
            None => Ok(()),
        }
    }

    fn build(&self, ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)> {
        self.check()?;
        let x = input(inputs, self.input)?;
        let spec = x.spec();
        let (letters, rank) = (self.op.letters as usize, spec.shape.len());
        let fits = match spec.dtype {
            DType::U32 => rank == 2,
            _ => rank == 3 && spec.shape[1] == letters && self.op.first == 0,
        };
        if !fits {
            let expected = format!("tokens u32 [time] or one-hot letters [{letters}, time] per sample");
            return Err(Error::shape("a sequence", expected, spec.to_string()));
        }
        let lengths = self.lengths.map(|index| input(inputs, index)).transpose()?;
        let table = self.complements.clone().unwrap_or_else(|| (0..self.op.letters).collect());
        let name = format!("complements {table:?}");
        let table = ctx.graph().state(&name, &name, TensorSpec::u32([letters]), Init::Words(table.into()))?;
        let draws = ctx.uniform("letters", [1 + spec.shape[rank - 1]])?;
        let mut changed = inputs.to_vec();
        changed[self.input] = x.mutate(&self.op, &draws, &table, lengths)?;
        Ok((changed, targets.to_vec()))
    }
}
