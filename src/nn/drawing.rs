use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use crate::graph::{Graph, Var};

/// A network as boxes and arrows: a box for every layer (of the innermost kind), and for every operation outside of layers.
///
/// ```
/// use galen::nn::{Dense, Flatten, Network, Sequential};
///
/// let drawing = Sequential::new([1, 8, 8]).with(Flatten).with(Dense::new(3)).drawing()?;
/// assert!(drawing.dot().contains("\"flatten\" -> \"dense\""));
/// assert!(drawing.svg().starts_with("<svg"));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    boxes: Vec<Boxed>,
}

/// A box, and the boxes that feed it.
#[derive(Clone, Debug, PartialEq)]
struct Boxed {
    name: String,
    shape: String,
    from: Vec<usize>,
}

/// Sizes of the picture, in pixels.
const LINE: usize = 16;
const HEIGHT: usize = 2 * LINE + 12;
const DOWN: usize = HEIGHT + 34;
const GAP: usize = 24;
/// Width of a letter of 12-pixel type; generous, because the font is the reader's.
const LETTER: usize = 8;

impl Drawing {
    /// The boxes of a graph that was built without a backward pass.
    pub(crate) fn of(graph: &Graph, outputs: &[Var]) -> Drawing {
        let mut boxes: Vec<Boxed> = Vec::new();
        let mut of_layer: HashMap<String, usize> = HashMap::new();
        // Of every node: its box. What only carries on another node's tensor has that node's.
        let mut of_node: Vec<Option<usize>> = Vec::new();
        let nodes = graph.forward_nodes();
        // What stands before a slash in any layer's name.
        let mut around = HashSet::new();
        for node in &nodes {
            let mut layer = &node.layer[..];
            while let Some((outer, _)) = layer.rsplit_once('/') {
                layer = outer;
                if !around.insert(outer) {
                    break;
                }
            }
        }
        let holds_layers = |layer: &str| around.contains(layer);
        for node in &nodes {
            let feeds: Vec<usize> = node.inputs.iter().filter_map(|i| of_node[*i]).collect();
            let mut open = |name: String| {
                boxes.push(Boxed { name, shape: String::new(), from: Vec::new() });
                boxes.len() - 1
            };
            let own = match &node.layer[..] {
                _ if node.is_state => None,
                layer if node.is_view && (layer.is_empty() || holds_layers(layer)) => feeds.first().copied(),
                "" => Some(open(node.name.clone())),
                // What stands between the layers of a block is no part of any of them.
                layer if holds_layers(layer) => Some(open(format!("{layer}/{}", node.name))),
                // A layer that is fed by what came after it was built once more.
                layer => match of_layer.get(layer).filter(|own| feeds.iter().all(|feed| feed <= own)) {
                    Some(own) => Some(*own),
                    None => {
                        let own = open(layer.to_owned());
                        of_layer.insert(layer.to_owned(), own);
                        Some(own)
                    }
                },
            };
            if let Some(own) = own {
                boxes[own].shape.clone_from(&node.shape);
                for feed in feeds.into_iter().filter(|f| *f != own) {
                    if !boxes[own].from.contains(&feed) {
                        boxes[own].from.push(feed);
                    }
                }
            }
            of_node.push(own);
        }
        for (i, y) in outputs.iter().enumerate() {
            let name = if outputs.len() == 1 { "output".to_owned() } else { format!("output {i}") };
            let from = of_node[y.value.node].into_iter().collect();
            boxes.push(Boxed { name, shape: y.shape().to_string(), from });
        }
        unique(&mut boxes);
        Drawing { boxes }
    }

    /// The drawing in Graphviz's language: `dot -Tpdf`.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph network {\n  node [shape=box];\n");
        let quote = |s: &str| s.replace('\\', "\\\\").replace('"', "\\\"");
        for b in &self.boxes {
            let (name, shape) = (quote(&b.name), quote(&b.shape));
            let _ = writeln!(out, "  \"{name}\" [label=\"{name}\\n{shape}\"];");
        }
        for b in &self.boxes {
            for from in &b.from {
                let _ = writeln!(out, "  \"{}\" -> \"{}\";", quote(&self.boxes[*from].name), quote(&b.name));
            }
        }
        out + "}\n"
    }

    /// The drawing as a picture, from top to bottom.
    pub fn svg(&self) -> String {
        let layout = Layout::of(&self.boxes);
        let (width, height) = layout.size();
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\" text-anchor=\"middle\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        for path in &layout.arrows {
            let mut d = String::new();
            for (i, (x, y)) in path.iter().enumerate() {
                let _ = match path.get(i.wrapping_sub(1)) {
                    None => write!(d, "M{x},{y}"),
                    // From one row to the next in an S: it leaves and arrives straight down.
                    Some((px, py)) => write!(d, " C{px},{0} {x},{0} {x},{y}", (py + y) / 2),
                };
            }
            let _ = writeln!(out, "<path d=\"{d}\" fill=\"none\" stroke=\"#777\"/>");
            if let Some((x, y)) = path.last() {
                let _ = writeln!(
                    out,
                    "<path d=\"M{},{2} L{x},{y} L{},{2}\" fill=\"none\" stroke=\"#777\"/>",
                    x - 4,
                    x + 4,
                    y - 6
                );
            }
        }
        for (b, place) in self.boxes.iter().zip(&layout.boxes) {
            let (x, y, w) = (place.x, place.y, place.width);
            let _ = writeln!(
                out,
                "<rect x=\"{}\" y=\"{y}\" width=\"{w}\" height=\"{HEIGHT}\" rx=\"4\" fill=\"#eef3fa\" stroke=\"#4a6fa5\"/>\n\
                 <text x=\"{x}\" y=\"{}\">{}</text>\n<text x=\"{x}\" y=\"{}\" fill=\"#555\">{}</text>",
                x - w / 2,
                y + LINE + 2,
                escape(&b.name),
                y + 2 * LINE + 4,
                escape(&b.shape)
            );
        }
        out + "</svg>\n"
    }
}

/// Gives boxes of the same name numbers: `add`, `add (2)`.
fn unique(boxes: &mut [Boxed]) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for b in boxes {
        let count = seen.entry(b.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            b.name = format!("{} ({count})", b.name);
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Where a box lies: the middle of its upper edge, and its width.
#[derive(Clone, Copy, Default)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

/// Boxes in rows, each below all that feed it; arrows that skip rows have a place of their own in each, so that they cross no box.
struct Layout {
    boxes: Vec<Place>,
    arrows: Vec<Vec<(usize, usize)>>,
    right: usize,
    rows: usize,
}

impl Layout {
    fn of(boxes: &[Boxed]) -> Layout {
        let mut row = vec![0; boxes.len()];
        for (i, b) in boxes.iter().enumerate() {
            row[i] = b.from.iter().map(|f| row[*f] + 1).max().unwrap_or(0);
        }
        let rows = row.iter().max().map_or(0, |r| r + 1);
        // Of every row: boxes, then the arrows that pass through it.
        let mut right = vec![GAP; rows];
        let mut places = vec![Place::default(); boxes.len()];
        for (i, b) in boxes.iter().enumerate() {
            let letters = b.name.chars().count().max(b.shape.chars().count());
            let width = letters * LETTER + 16;
            places[i] = Place { x: right[row[i]] + width / 2, y: GAP + row[i] * DOWN, width };
            right[row[i]] += width + GAP;
        }
        let mut arrows = Vec::new();
        for (i, b) in boxes.iter().enumerate() {
            for from in &b.from {
                let mut path = vec![(places[*from].x, places[*from].y + HEIGHT)];
                for (r, right) in right.iter_mut().enumerate().take(row[i]).skip(row[*from] + 1) {
                    path.extend([(*right, GAP + r * DOWN), (*right, GAP + r * DOWN + HEIGHT)]);
                    *right += GAP;
                }
                path.push((places[i].x, places[i].y));
                arrows.push(path);
            }
        }
        Layout { boxes: places, arrows, right: right.into_iter().max().unwrap_or(0), rows }
    }

    fn size(&self) -> (usize, usize) {
        (self.right + GAP, self.rows * DOWN + GAP)
    }
}
