//! One program for any number of samples, of those for some.
//!
//! A number that is the same in all is written as it is. An integer that differs is `{"$batch": [a, b]}`: `a · batch + b`. A float that
//! differs is `{"$over_batch": [c, bits]}` or `{"$times_batch": [c, bits]}`, computed with 32 or 64 bits.

use serde_json::{Map, Number, Value as Json, json};

use super::{Does, Item, Node, Program, undescribed};
use crate::error::{Error, Result};

const BATCH: &str = "$batch";
const OVER: &str = "$over_batch";
const TIMES: &str = "$times_batch";

/// What `programs`, one for each of `batches`, have in common.
pub(super) fn unify(programs: &[Program], batches: &[usize]) -> Result<Program> {
    let lists: Vec<&[Item]> = programs.iter().map(|p| &p.items[..]).collect();
    let items = Unify { batches }.items(&lists, "")?;
    let outputs = programs[0].outputs.clone();
    if programs.iter().any(|p| p.outputs != outputs) {
        return Err(varies("", "its outputs"));
    }
    Ok(Program { items, outputs })
}

fn varies(layer: &str, what: &str) -> Error {
    undescribed(layer, what, "for some numbers of samples it is built in another way than for others")
}

struct Unify<'a> {
    batches: &'a [usize],
}

impl Unify<'_> {
    fn items(&self, lists: &[&[Item]], path: &str) -> Result<Vec<Item>> {
        if lists.iter().any(|list| list.len() != lists[0].len()) {
            return Err(varies(path, "what it pushes"));
        }
        (0..lists[0].len()).map(|i| self.item(&lists.iter().map(|list| &list[i]).collect::<Vec<_>>(), path)).collect()
    }

    fn item(&self, items: &[&Item], path: &str) -> Result<Item> {
        match items[0] {
            Item::Layer { name, kind, output, .. } => {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let mut lists = Vec::new();
                for item in items {
                    match item {
                        Item::Layer { name: n, kind: k, output: o, items } if (n, k, o) == (name, kind, output) => {
                            lists.push(&items[..]);
                        }
                        _ => return Err(varies(&path, "what it gives")),
                    }
                }
                let items = self.items(&lists, &path)?;
                Ok(Item::Layer { name: name.clone(), kind: kind.clone(), items, output: *output })
            }
            Item::Node(first) => {
                let mut all = Vec::new();
                for item in items {
                    match item {
                        Item::Node(node)
                            if (&node.inputs, node.outputs, &node.layer)
                                == (&first.inputs, first.outputs, &first.layer) =>
                        {
                            all.push(&node.does);
                        }
                        _ => return Err(varies(path, &name(&first.does))),
                    }
                }
                let does = self.does(&all).ok_or_else(|| {
                    let reason = "a number in it depends on the number of samples in another way than a · batch + b, c / batch or c · batch";
                    undescribed(path, &name(&first.does), reason)
                })?;
                Ok(Item::Node(Node { does, ..first.clone() }))
            }
            first if items.iter().all(|item| *item == first) => Ok(first.clone()),
            _ => Err(varies(path, "what it pushes")),
        }
    }

    fn does(&self, all: &[&Does]) -> Option<Does> {
        let written = |pick: fn(&Does) -> Option<&Json>| all.iter().map(|does| pick(does)).collect::<Option<Vec<_>>>();
        match all[0] {
            Does::Op(_) => {
                let ops = written(|does| if let Does::Op(op) = does { Some(op) } else { None })?;
                self.json(&ops).map(Does::Op)
            }
            Does::Reshape(_) => {
                let shapes = written(|does| if let Does::Reshape(shape) = does { Some(shape) } else { None })?;
                self.json(&shapes).map(Does::Reshape)
            }
            whole @ Does::Whole(_) => all.iter().all(|does| *does == whole).then(|| whole.clone()),
        }
    }

    fn json(&self, values: &[&Json]) -> Option<Json> {
        if values.iter().all(|v| *v == values[0]) {
            return Some(values[0].clone());
        }
        match values[0] {
            Json::Array(first) => {
                let lists: Vec<&Vec<Json>> = values.iter().map(|v| v.as_array()).collect::<Option<_>>()?;
                if lists.iter().any(|list| list.len() != first.len()) {
                    return None;
                }
                let part = |i: usize| self.json(&lists.iter().map(|list| &list[i]).collect::<Vec<_>>());
                (0..first.len()).map(part).collect::<Option<_>>().map(Json::Array)
            }
            Json::Object(first) => {
                let maps: Vec<&Map<String, Json>> = values.iter().map(|v| v.as_object()).collect::<Option<_>>()?;
                if maps.iter().any(|map| map.len() != first.len()) {
                    return None;
                }
                let part = |key: &String| {
                    let parts = maps.iter().map(|map| map.get(key)).collect::<Option<Vec<_>>>()?;
                    Some((key.clone(), self.json(&parts)?))
                };
                first.keys().map(part).collect::<Option<_>>().map(Json::Object)
            }
            Json::Number(_) => self.integer(values).or_else(|| self.float(values)),
            _ => None,
        }
    }

    /// `a · batch + b`
    fn integer(&self, values: &[&Json]) -> Option<Json> {
        let n: Vec<i128> = values.iter().map(|v| v.as_i64().map(i128::from)).collect::<Option<_>>()?;
        let batches: Vec<i128> = self.batches.iter().map(|b| *b as i128).collect();
        let (rise, run) = (n[1] - n[0], batches[1] - batches[0]);
        let a = (rise % run == 0).then_some(rise / run)?;
        let b = n[0] - a * batches[0];
        let fits = n.iter().zip(&batches).all(|(n, batch)| a * batch + b == *n);
        let (a, b) = (i64::try_from(a).ok()?, i64::try_from(b).ok()?);
        fits.then(|| json!({ BATCH: [a, b] }))
    }

    /// `c / batch` or `c · batch`
    fn float(&self, values: &[&Json]) -> Option<Json> {
        let x: Vec<f64> = values.iter().map(|v| v.as_f64()).collect::<Option<_>>()?;
        // The first batch is 2: neither a product nor a quotient with it is rounded.
        let first = self.batches[0] as f64;
        let forms =
            [(OVER, x[0] * first), (TIMES, x[0] / first)].into_iter().flat_map(|(key, c)| [(key, c, 32), (key, c, 64)]);
        let mut forms = forms.filter(|(key, c, bits)| {
            let fits = |(x, batch): (&f64, &usize)| {
                computed(key, *c, *bits, *batch).is_some_and(|y| y.to_bits() == x.to_bits())
            };
            x.iter().zip(self.batches).all(fits)
        });
        forms.next().map(|(key, c, bits)| json!({ key: [c, bits] }))
    }
}

/// `c / batch` or `c · batch` as a float of so many bits.
fn computed(key: &str, c: f64, bits: u64, batch: usize) -> Option<f64> {
    let single = (c as f32, batch as f32);
    let y = match (key, bits) {
        (OVER, 32) => f64::from(single.0 / single.1),
        (TIMES, 32) => f64::from(single.0 * single.1),
        (OVER, 64) => c / batch as f64,
        (TIMES, 64) => c * batch as f64,
        _ => return None,
    };
    Some(y).filter(|y| y.is_finite())
}

/// What messages call a node.
fn name(does: &Does) -> String {
    match does {
        Does::Op(op) => {
            let name = op.as_object().and_then(|op| op.keys().next());
            format!("op {}", name.map_or("", |name| &name[..]))
        }
        Does::Reshape(_) => "reshape".to_owned(),
        Does::Whole(arena) => format!("arena \"{arena}\""),
    }
}

/// What was unified, for one number of samples; nothing where it makes no number.
pub(super) fn resolve(value: &Json, batch: usize) -> Option<Json> {
    match value {
        Json::Array(list) => list.iter().map(|v| resolve(v, batch)).collect::<Option<_>>().map(Json::Array),
        Json::Object(map) => match map.iter().next() {
            Some((key, of)) if map.len() == 1 && key.starts_with('$') => number(key, of, batch).map(Json::Number),
            _ => {
                let entry = |(key, v): (&String, &Json)| Some((key.clone(), resolve(v, batch)?));
                map.iter().map(entry).collect::<Option<_>>().map(Json::Object)
            }
        },
        other => Some(other.clone()),
    }
}

fn number(key: &str, of: &Json, batch: usize) -> Option<Number> {
    let [a, b] = &of.as_array()?[..] else { return None };
    if key == BATCH {
        let n = a.as_i64()?.checked_mul(i64::try_from(batch).ok()?)?.checked_add(b.as_i64()?)?;
        return Some(n.into());
    }
    Number::from_f64(computed(key, a.as_f64()?, b.as_u64()?, batch)?)
}
