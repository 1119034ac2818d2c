//! Reverse-mode differentiation: a walk from the loss back to what it depends on. Gradients are graph nodes like any other.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Graph, NodeKind, Value, Var, rewrite};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::DType;

/// What an op says of its gradient with respect to one input. Nothing is silently zero.
#[derive(Clone, Debug)]
pub enum Grad {
    /// The gradient.
    Of(Var),
    /// There is none: indices, counters, comparisons.
    NotDifferentiable,
    /// There is one, but Galen does not know it; the reason is shown to whoever asks for it.
    Unsupported(&'static str),
    /// Nobody asks for it (see [`GradientCtx::wanted`]).
    NotWanted,
}

/// What an op may use to express its gradient.
#[derive(Clone, Debug)]
pub struct GradientCtx {
    inputs: Vec<Var>,
    outputs: Vec<Var>,
    cotangents: Vec<Option<Var>>,
    wanted: Vec<bool>,
}

impl GradientCtx {
    /// How many inputs the op has.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The op's i-th input.
    pub fn input(&self, i: usize) -> &Var {
        &self.inputs[i]
    }

    /// The op's i-th output.
    pub fn output(&self, i: usize) -> &Var {
        &self.outputs[i]
    }

    /// The gradient of the loss with respect to the i-th output; `None` where the loss does not depend on it.
    pub fn cotangent(&self, i: usize) -> Option<&Var> {
        self.cotangents[i].as_ref()
    }

    /// The cotangent of the first output, for ops where only that one carries a gradient.
    ///
    /// # Errors
    /// [`Error::Gradient`] where the loss depends on another output instead.
    pub fn dy(&self) -> Result<&Var> {
        self.cotangents[0].as_ref().ok_or_else(|| Error::Gradient {
            op: "backward".into(),
            layer: String::new(),
            reason: "only the first output has a gradient, and the loss uses another one".into(),
        })
    }

    /// The graph, to push nodes into.
    pub fn graph(&self) -> &Graph {
        &self.inputs[0].graph
    }

    /// Whether somebody asks for the gradient of the i-th input.
    pub fn is_wanted(&self, i: usize) -> bool {
        self.wanted[i]
    }

    /// `gradient()` where somebody asks for the gradient of the i-th input, [`Grad::NotWanted`] otherwise.
    ///
    /// # Errors
    /// Those of `gradient`.
    pub fn wanted(&self, i: usize, gradient: impl FnOnce() -> Result<Var>) -> Result<Grad> {
        if self.wanted[i] { Ok(Grad::Of(gradient()?)) } else { Ok(Grad::NotWanted) }
    }
}

impl Graph {
    /// The gradients of the scalar `loss` with respect to each of `wrt`, in their order.
    ///
    /// Softmax followed by cross-entropy is first rewritten into its numerically stable form.
    ///
    /// # Errors
    /// Where `loss` is not a scalar, does not depend on one of `wrt`, or an op on the way has no gradient.
    pub fn gradients(&self, loss: &Var, wrt: &[Var]) -> Result<Vec<Var>> {
        let shape = loss.shape();
        if shape.elements() != 1 {
            return Err(Error::shape("gradients", "a loss with one element", shape.to_string()));
        }
        let one = self.fill(shape, 1.0)?;
        self.gradients_from(&[(loss.clone(), one)], wrt)
    }

    /// The gradients of `Σ y · dy` over the given pairs (output, cotangent) with respect to each of `wrt`.
    ///
    /// # Errors
    /// Where shapes differ, an output does not depend on one of `wrt`, or an op on the way has no gradient.
    pub fn gradients_from(&self, outputs: &[(Var, Var)], wrt: &[Var]) -> Result<Vec<Var>> {
        rewrite::stabilise(self);
        let wanted = self.depends_on(wrt)?;
        self.refuse_aliases(outputs, wrt)?;
        let mut cotangents: HashMap<Value, Var> = HashMap::new();
        let mut last = 0;
        for (y, dy) in outputs {
            if y.shape() != dy.shape() {
                return Err(Error::shape("gradients", y.shape().to_string(), dy.shape().to_string()));
            }
            accumulate(&mut cotangents, self.own(y)?, dy)?;
            last = last.max(y.value.node);
        }
        for node in (0..=last).rev() {
            if wanted[node] {
                self.step_back(node, &wanted, &mut cotangents)?;
            }
        }
        wrt.iter()
            .map(|v| {
                cotangents.get(&v.value).cloned().ok_or_else(|| Error::Gradient {
                    op: "gradients".into(),
                    layer: String::new(),
                    reason: format!("the loss does not depend on {v:?}"),
                })
            })
            .collect()
    }

    /// Refuses outputs that read the memory of one of `wrt` by another way too, as a part of its whole arena: the gradient would
    /// lack that part.
    fn refuse_aliases(&self, outputs: &[(Var, Var)], wrt: &[Var]) -> Result<()> {
        let data = self.data();
        let mut used = vec![false; data.nodes.len()];
        outputs.iter().for_each(|(y, _)| used[y.value.node] = true);
        let is_wrt: HashSet<usize> = wrt.iter().map(|v| v.value.node).collect();
        for index in (0..used.len()).rev().filter(|i| !is_wrt.contains(i)) {
            if used[index] {
                data.nodes[index].inputs.iter().for_each(|v| used[v.node] = true);
            }
        }
        let memory = |node: usize| match &data.nodes[node].kind {
            NodeKind::State { arena, offset } => {
                Some((*arena, *offset..*offset + data.nodes[node].outputs[0].shape.elements()))
            }
            _ => None,
        };
        // What is asked for, by arena and beginning: slots do not overlap, so that the last one that begins before an end is enough.
        let own: BTreeMap<(usize, usize), usize> =
            wrt.iter().filter_map(|v| memory(v.value.node)).map(|(arena, r)| ((arena, r.start), r.end)).collect();
        for node in (0..used.len()).filter(|i| used[*i] && !is_wrt.contains(i)) {
            let Some((arena, range)) = memory(node) else { continue };
            let before = own.range((arena, 0)..(arena, range.end)).next_back();
            if before.is_some_and(|(_, end)| range.start < *end) {
                return Err(Error::Gradient {
                    op: "gradients".into(),
                    layer: data.nodes[node].layer.to_string(),
                    reason: format!("the loss reads arena \"{}\" both whole and in parts", data.arenas[arena].name),
                });
            }
        }
        Ok(())
    }

    /// Which nodes depend on one of `wrt`.
    fn depends_on(&self, wrt: &[Var]) -> Result<Vec<bool>> {
        let roots = wrt.iter().map(|v| self.own(v)).collect::<Result<Vec<_>>>()?;
        let data = self.data();
        let mut wanted = vec![false; data.nodes.len()];
        let roots: HashSet<usize> = roots.iter().map(|root| root.node).collect();
        for (i, node) in data.nodes.iter().enumerate() {
            wanted[i] = roots.contains(&i) || node.inputs.iter().any(|v| wanted[v.node]);
        }
        Ok(wanted)
    }

    fn step_back(&self, index: usize, wanted: &[bool], cotangents: &mut HashMap<Value, Var>) -> Result<()> {
        let node = self.data().nodes[index].clone();
        let var = |value| Var { graph: self.clone(), value };
        let outputs: Vec<Value> = (0..node.outputs.len()).map(|output| Value { node: index, output }).collect();
        let cotangent: Vec<Option<Var>> = outputs.iter().map(|v| cotangents.get(v).cloned()).collect();
        if cotangent.iter().all(Option::is_none) {
            return Ok(());
        }
        let input_wanted: Vec<bool> =
            node.inputs.iter().map(|v| wanted[v.node] && self.data().spec(*v).dtype == DType::F32).collect();
        if !input_wanted.contains(&true) {
            return Ok(());
        }
        let ctx = GradientCtx {
            inputs: node.inputs.iter().map(|v| var(*v)).collect(),
            outputs: outputs.iter().map(|v| var(*v)).collect(),
            cotangents: cotangent,
            wanted: input_wanted.clone(),
        };
        let layer = node.layer.to_string();
        let grads = match &node.kind {
            NodeKind::Reshape => vec![Grad::Of(ctx.dy()?.reshape(ctx.input(0).shape())?)],
            NodeKind::Op(op) => self.gradient_of(op, &layer, &ctx)?,
            _ => return Ok(()),
        };
        let wrong = |reason: String| Error::Gradient { op: node.name().into(), layer: layer.clone(), reason };
        if grads.len() != node.inputs.len() {
            return Err(wrong(format!("the op gives {} of them for {} inputs", grads.len(), node.inputs.len())));
        }
        for (i, grad) in grads.into_iter().enumerate().filter(|(i, _)| input_wanted[*i]) {
            match grad {
                Grad::Of(g) => {
                    let (expected, actual) = (self.data().spec(node.inputs[i]).clone(), g.spec());
                    if actual != expected {
                        return Err(wrong(format!("that of input {i} must be {expected}, and the op gives {actual}")));
                    }
                    accumulate(cotangents, node.inputs[i], &g)?;
                }
                Grad::NotDifferentiable => {}
                Grad::NotWanted => {
                    return Err(wrong(format!("that of input {i} is wanted, and the op does not give it")));
                }
                Grad::Unsupported(reason) => {
                    return Err(Error::Gradient { op: node.name().into(), layer, reason: reason.into() });
                }
            }
        }
        Ok(())
    }

    /// The op's gradient, its nodes under the layer of the op itself.
    fn gradient_of(&self, op: &Op, layer: &str, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        self.in_path(layer, || op.gradient(ctx))
    }
}

fn accumulate(cotangents: &mut HashMap<Value, Var>, value: Value, g: &Var) -> Result<()> {
    let sum = match cotangents.get(&value) {
        Some(before) => before.add(g)?,
        None => g.clone(),
    };
    cotangents.insert(value, sum);
    Ok(())
}
