//! One training program of two: that in which nothing is frozen, and that in which everything is.
//!
//! Where the two differ inside a layer that asked whether it is frozen, that layer holds both, and who builds it chooses. So layers can
//! be frozen one by one.

use std::collections::{BTreeSet, HashMap};

use super::trace::Traced;
use super::{Item, Node, Program, Ref, undescribed};
use crate::error::{Error, Result};

/// Of the two programs: which one.
const TRAINED: usize = 0;
const FROZEN: usize = 1;

/// Both programs in one. `given` values are there before their first item.
pub(super) fn merge(trained: &Traced, frozen: &Program, given: usize) -> Result<Program> {
    let map: HashMap<usize, usize> = (0..given).map(|i| (i, i)).collect();
    let values = Values { maps: [map.clone(), map], pairs: HashMap::new(), counted: [given; 2], next: given };
    let mut merge = Merge { asked: &trained.asked, values };
    let items = merge.items(&trained.program.items, &frozen.items, "")?;
    let outputs = trained.program.outputs.iter().zip(&frozen.outputs);
    let outputs = outputs.map(|(t, f)| merge.values.pair(*t, *f, "")).collect::<Result<_>>()?;
    Ok(Program { items, outputs })
}

fn differs(layer: &str) -> Error {
    let reason =
        "it is built in another way where layers are frozen, and not only inside of layers that ask whether they are";
    undescribed(layer, "a layer", reason)
}

/// What the values of the two programs are called in the merged one.
#[derive(Clone)]
struct Values {
    maps: [HashMap<usize, usize>; 2],
    /// What stays of a choice.
    pairs: HashMap<(Ref, Ref), usize>,
    /// How many values each program has had so far.
    counted: [usize; 2],
    /// The next value of the merged program.
    next: usize,
}

impl Values {
    /// What both programs mean at the same place.
    fn pair(&self, t: Ref, f: Ref, layer: &str) -> Result<Ref> {
        if let Some(value) = self.pairs.get(&(t, f)) {
            return Ok(Ref::Value(*value));
        }
        match (t, f) {
            (Ref::State { .. }, _) if t == f => Ok(t),
            (Ref::Value(t), Ref::Value(f)) => match (self.maps[TRAINED].get(&t), self.maps[FROZEN].get(&f)) {
                (Some(a), Some(b)) if a == b => Ok(Ref::Value(*a)),
                _ => Err(differs(layer)),
            },
            _ => Err(differs(layer)),
        }
    }

    /// What one program means.
    fn one(&self, side: usize, of: Ref, layer: &str) -> Result<Ref> {
        let pairs = self.pairs.iter().filter(|((t, f), _)| [t, f][side] == &of).map(|(_, value)| *value);
        let own = match of {
            Ref::State { .. } => return Ok(of),
            Ref::Value(value) => self.maps[side].get(&value).copied(),
        };
        let found: BTreeSet<usize> = pairs.chain(own).collect();
        match found.first() {
            Some(value) if found.len() == 1 => Ok(Ref::Value(*value)),
            // A layer that passes its input on where it is frozen: nothing tells the two apart.
            _ => Err(differs(layer)),
        }
    }

    /// The outputs of a node of one program.
    fn add(&mut self, side: usize, outputs: usize) {
        for _ in 0..outputs {
            self.maps[side].insert(self.counted[side], self.next);
            self.counted[side] += 1;
            self.next += 1;
        }
    }
}

struct Merge<'a> {
    asked: &'a BTreeSet<String>,
    values: Values,
}

impl Merge<'_> {
    fn items(&mut self, t: &[Item], f: &[Item], path: &str) -> Result<Vec<Item>> {
        if t.len() != f.len() {
            return Err(differs(path));
        }
        t.iter().zip(f).map(|(t, f)| self.item(t, f, path)).collect()
    }

    fn item(&mut self, t: &Item, f: &Item, path: &str) -> Result<Item> {
        match (t, f) {
            (Item::Node(a), Item::Node(b)) => {
                if (&a.does, a.outputs, &a.layer, a.inputs.len()) != (&b.does, b.outputs, &b.layer, b.inputs.len()) {
                    return Err(differs(path));
                }
                let inputs = a.inputs.iter().zip(&b.inputs).map(|(t, f)| self.values.pair(*t, *f, path));
                let node = Node { inputs: inputs.collect::<Result<_>>()?, ..a.clone() };
                let next = self.values.next;
                self.values.add(TRAINED, a.outputs);
                self.values.next = next;
                self.values.add(FROZEN, a.outputs);
                Ok(Item::Node(node))
            }
            (
                Item::Layer { name, kind, items, output },
                Item::Layer { name: other, kind: of, items: others, output: its },
            ) if (name, kind) == (other, of) => {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let (items, output) = self.layer((items, *output), (others, *its), &path)?;
                Ok(Item::Layer { name: name.clone(), kind: kind.clone(), items, output })
            }
            (Item::Activity(t), Item::Activity(f)) => self.values.pair(*t, *f, path).map(Item::Activity),
            (Item::Statistic { slot, value: t, keep }, Item::Statistic { slot: other, value: f, keep: of })
                if (slot, keep) == (other, of) =>
            {
                Ok(Item::Statistic { slot: slot.clone(), value: self.values.pair(*t, *f, path)?, keep: *keep })
            }
            (Item::State(_) | Item::Hold(_), _) if t == f => Ok(t.clone()),
            _ => Err(differs(path)),
        }
    }

    /// A layer's items and its output.
    fn layer(
        &mut self,
        t: (&[Item], Option<Ref>),
        f: (&[Item], Option<Ref>),
        path: &str,
    ) -> Result<(Vec<Item>, Option<Ref>)> {
        let before = self.values.clone();
        let alike = self.items(t.0, f.0, path).and_then(|items| match (t.1, f.1) {
            (Some(t), Some(f)) => Ok((items, Some(self.values.pair(t, f, path)?))),
            (None, None) => Ok((items, None)),
            _ => Err(differs(path)),
        });
        if alike.is_ok() || !self.asked.contains(path) {
            return alike;
        }
        self.values = before;
        // Layers inside could be frozen by themselves, and both ways of each would have to be there.
        let inner = format!("{path}/");
        if self.asked.iter().any(|asked| asked.starts_with(&inner)) {
            return Err(differs(path));
        }
        self.choice(t, f, path)
    }

    /// Both ways of a layer.
    fn choice(
        &mut self,
        t: (&[Item], Option<Ref>),
        f: (&[Item], Option<Ref>),
        path: &str,
    ) -> Result<(Vec<Item>, Option<Ref>)> {
        let (trained, from_trained) = self.branch(TRAINED, t, path)?;
        let (frozen, from_frozen) = self.branch(FROZEN, f, path)?;
        let (mut results, mut output) = (Vec::new(), None);
        if let (Some(a), Some(b), Some(t), Some(f)) = (from_trained, from_frozen, t.1, f.1) {
            results.push([a, b]);
            output = Some(Ref::Value(self.values.next));
            self.values.pairs.insert((t, f), self.values.next);
            self.values.next += 1;
        }
        Ok((vec![Item::Choice { trained, frozen, results }], output))
    }

    /// One way of a layer, and what the layer gives in it. Its values are known inside of it only.
    fn branch(
        &mut self,
        side: usize,
        (items, output): (&[Item], Option<Ref>),
        path: &str,
    ) -> Result<(Vec<Item>, Option<Ref>)> {
        let (first, next) = (self.values.counted[side], self.values.next);
        let items = self.one_sided(side, items, path)?;
        let output = output.map(|y| self.values.one(side, y, path)).transpose()?;
        (first..self.values.counted[side]).for_each(|value| _ = self.values.maps[side].remove(&value));
        self.values.next = next;
        Ok((items, output))
    }

    fn one_sided(&mut self, side: usize, items: &[Item], path: &str) -> Result<Vec<Item>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            out.push(match item {
                Item::Node(node) => {
                    let inputs = node.inputs.iter().map(|v| self.values.one(side, *v, path)).collect::<Result<_>>()?;
                    self.values.add(side, node.outputs);
                    Item::Node(Node { inputs, ..node.clone() })
                }
                Item::Layer { name, kind, items, output } => {
                    let items = self.one_sided(side, items, path)?;
                    let output = output.map(|y| self.values.one(side, y, path)).transpose()?;
                    Item::Layer { name: name.clone(), kind: kind.clone(), items, output }
                }
                Item::Activity(value) => Item::Activity(self.values.one(side, *value, path)?),
                Item::Statistic { slot, value, keep } => {
                    let value = self.values.one(side, *value, path)?;
                    Item::Statistic { slot: slot.clone(), value, keep: *keep }
                }
                other => other.clone(),
            });
        }
        Ok(out)
    }
}
