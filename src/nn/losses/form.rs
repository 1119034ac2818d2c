//! Whether a network's outputs are logits or probabilities: a loss asks what the network ends in.

use super::Judgement;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Ending;
use crate::shape::resolve_axis;

/// In which form a loss takes predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As they are: values, of which no activation is expected and none is wrong.
    Values,
    /// Probabilities or logits, as the network's [end](Ending) says: probabilities after sigmoid and softmax, logits without an activation.
    /// Where the end tells nothing they are taken for probabilities, with a warning.
    #[default]
    Auto,
    /// Logits. A network that ends in sigmoid or softmax is an error.
    Logits,
    /// Probabilities. A network that ends without an activation is an error.
    Probabilities,
}

/// What a loss takes a network's outputs for: see [`Form::taken`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// [`Form::Values`], [`Form::Logits`] or [`Form::Probabilities`].
    pub form: Form,
    /// Whether nothing told so: neither the network's end nor who wrote the loss.
    pub guessed: bool,
}

impl Form {
    /// What the outputs `y` are taken for by the loss `loss` that asks for this form. `judgement` says whether they are classes that exclude
    /// each other, and along which axis.
    ///
    /// # Errors
    /// Where the loss and what the network ends in contradict: logits are wanted of a sigmoid or a softmax, probabilities of no
    /// activation; softmax runs along another axis than the classes, or over one output, which is always 1; classes exclude each other
    /// and sigmoid does not.
    pub fn taken(self, loss: &str, y: &Var, judgement: Judgement) -> Result<Taken> {
        let ending = Ending::of(y);
        let told = |form| Ok(Taken { form, guessed: false });
        let wrong = |reason: String| Err(Error::usage(loss, format!("{reason} (the network ends in {ending})")));
        if self == Form::Values {
            return told(self);
        }
        let shape = y.shape();
        let classes = judgement.classes.map(|axis| resolve_axis(loss, axis, shape.len())).transpose()?;
        let several = classes.is_some_and(|axis| shape[axis] > 1);
        if let Ending::Softmax { axis: Some(axis) } | Ending::LogSoftmax { axis: Some(axis) } = ending {
            if shape.get(axis) == Some(&1) {
                let instead = "for one output end in Sigmoid and take BinaryCrossEntropy";
                return wrong(format!("softmax over one output is always 1: {instead}"));
            }
            if let Some(classes) = classes.filter(|classes| *classes != axis) {
                let instead = "softmax goes along the classes: Activation::SoftmaxAlong, or the loss's axis";
                return wrong(format!(
                    "its classes lie along axis {classes}, the network's along axis {axis}: {instead}"
                ));
            }
        }
        let without = if several { "softmax" } else { "sigmoid" };
        match (self, &ending) {
            (_, Ending::Sigmoid) if several => {
                let instead = "end in softmax, or without activation; labels that do not exclude each other are for \
                               BinaryCrossEntropy, or multi_label()";
                wrong(format!("its classes exclude each other, and probabilities from sigmoid do not: {instead}"))
            }
            (Form::Logits, Ending::Sigmoid | Ending::Softmax { .. }) => wrong(
                "it takes logits, and is given probabilities: end the network without it, or drop from_logits()".into(),
            ),
            (Form::Logits | Form::Auto, Ending::LogSoftmax { .. }) if several => told(Form::Logits),
            (_, Ending::LogSoftmax { .. }) => {
                wrong("it is given logarithms of probabilities, which are neither probabilities nor its logits".into())
            }
            (Form::Probabilities, Ending::Linear) => wrong(format!(
                "it takes probabilities, and is given numbers that may be anything: end in {without}, or leave from_probabilities() away"
            )),
            (Form::Logits, _) | (Form::Auto, Ending::Linear) => told(Form::Logits),
            (Form::Auto, Ending::NotNegative(_) | Ending::Other(_)) => {
                Ok(Taken { form: Form::Probabilities, guessed: true })
            }
            _ => told(Form::Probabilities),
        }
    }

    /// [`Judgement::elements`] of predictions in this form, as far as it is known.
    pub(super) fn elements(self) -> Judgement {
        Judgement::elements(self == Form::Logits)
    }
}

impl Taken {
    /// Values, as they are.
    pub const VALUES: Taken = Taken { form: Form::Values, guessed: false };

    /// Whether they are logits.
    pub fn is_logits(self) -> bool {
        self.form == Form::Logits
    }

    /// `judgement` of predictions in this form: see [`Judgement::threshold`].
    pub(crate) fn judged(self, judgement: Judgement) -> Judgement {
        match self.form {
            Form::Logits => Judgement { threshold: 0.0, ..judgement },
            Form::Probabilities => Judgement { threshold: 0.5, ..judgement },
            _ => judgement,
        }
    }

    /// What is said of it in a summary.
    pub(crate) fn describe(self, loss: &str, ending: &Ending) -> Option<String> {
        let form = match self.form {
            Form::Logits => "logits",
            Form::Probabilities => "probabilities",
            _ => return None,
        };
        let doubt = match self.guessed {
            true => ", which does not tell: say from_logits() or from_probabilities()",
            false => "",
        };
        Some(format!("{loss} takes {form} (the network ends in {ending}{doubt})"))
    }
}

/// The builder methods of a loss that has a field `form: Form`.
macro_rules! form_methods {
    ($activation:literal $(, $field:ident)*) => {
        #[doc = concat!("Of logits: the network ends without ", $activation, ". It is an error where the network ends in one; where its end ")]
        /// tells, this need not be said.
        #[must_use]
        pub fn from_logits(mut self) -> Self {
            self $(.$field)* .form = crate::nn::Form::Logits;
            self
        }

        #[doc = concat!("Of probabilities: the network ends in ", $activation, ". It is an error where the network ends without activation; ")]
        /// where its end tells, this need not be said.
        #[must_use]
        pub fn from_probabilities(mut self) -> Self {
            self $(.$field)* .form = crate::nn::Form::Probabilities;
            self
        }
    };
}
pub(super) use form_methods;
