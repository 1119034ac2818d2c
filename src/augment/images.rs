use super::{AugmentCtx, Augmentation, Fill, input};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::blur::Blur;
use crate::ops::colour::Colour;
use crate::ops::cutout::Cutout;
use crate::ops::warp::{DRAWS, Sampling, WarpMap};
use crate::shape::DType;

/// Most cells each way of an elastic deformation.
const MAX_CELLS: usize = 64;

/// What a target is to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing happens to it.
    Still,
    Image,
    Mask,
    Boxes,
}

/// Changes images `[c, h, w]`, and the masks, boxes and other images that belong to them. Of volumes `[c, d, h, w]` every slice is changed
/// alike, in its plane. Nothing is on at first; every method switches one thing on
/// or sets how it is done. All of them happen to every sample of a training, each with a size drawn anew, in this order: geometry
/// (flips, shear, rotation, zoom, shift, elastic, all in one reading), blur, brightness, contrast, gamma, noise, cutout.
///
/// ```
/// use galen::augment::{Augment, Augmentation, Fill};
///
/// let augment = Augment::new()
///     .flip_horizontal()
///     .rotate(15.0)
///     .shift(0.1)
///     .zoom(0.9, 1.1)
///     .brightness(0.1)
///     .contrast(0.8, 1.2)
///     .gamma(0.8, 1.25)
///     .noise(0.02)
///     .blur(0.0, 1.0)
///     .cutout(8, 0.5)
///     .fill(Fill::Reflect)
///     .with_masks();
/// augment.check()?;
/// assert!(Augment::new().zoom(0.0, 1.0).check().is_err());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Augment {
    input: usize,
    /// Without the images' size, which is not known yet.
    map: WarpMap,
    /// Cells each way, and the standard deviation of the control points in pixels.
    elastic: Option<(usize, f32)>,
    fill: Fill,
    mask_fill: u32,
    blur: [f32; 2],
    colour: Colour,
    noise: f32,
    cutout: Option<Cutout>,
    all_masks: bool,
    targets: Vec<(usize, Kind)>,
}

impl Default for Augment {
    fn default() -> Self {
        Augment {
            input: 0,
            map: WarpMap::identity([1, 1]),
            elastic: None,
            fill: Fill::Constant(0.0),
            mask_fill: 0,
            blur: [0.0; 2],
            colour: Colour { brightness: 0.0, contrast: [1.0; 2], gamma: [1.0; 2], range: [0.0, 1.0], clip: false },
            noise: 0.0,
            cutout: None,
            all_masks: false,
            targets: Vec::new(),
        }
    }
}

impl Augment {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which of the network's inputs holds the images; the first if not said.
    #[must_use]
    pub fn input(self, index: usize) -> Self {
        Augment { input: index, ..self }
    }

    /// Left becomes right in half of the samples.
    #[must_use]
    pub fn flip_horizontal(mut self) -> Self {
        self.map.flip[0] = true;
        self
    }

    /// Top becomes bottom in half of the samples.
    #[must_use]
    pub fn flip_vertical(mut self) -> Self {
        self.map.flip[1] = true;
        self
    }

    /// Turned by 0, 90, 180 or 270 degrees, each as likely, exactly; for images as wide as high that have no upright, as in histology.
    #[must_use]
    pub fn quarter_turns(mut self) -> Self {
        self.map.quarter_turns = true;
        self
    }

    /// Turned about the centre by up to this many degrees either way (0 to 180).
    #[must_use]
    pub fn rotate(mut self, degrees: f32) -> Self {
        self.map.rotation = degrees;
        self
    }

    /// Shifted by up to this share of the width and of the height either way (0 to 1).
    #[must_use]
    pub fn shift(mut self, share: f32) -> Self {
        self.map.shift = [share; 2];
        self
    }

    /// Magnified about the centre by a factor between these two (0.01 to 100); above 1 what is seen becomes larger.
    #[must_use]
    pub fn zoom(mut self, low: f32, high: f32) -> Self {
        self.map.zoom = [low, high];
        self
    }

    /// Upright lines lean by up to this many degrees either way (0 to 60).
    #[must_use]
    pub fn shear(mut self, degrees: f32) -> Self {
        self.map.shear = degrees;
        self
    }

    /// Bent smoothly: a cubic B-spline over a grid of `cells` by `cells` cells (1 to 64; 3 bends as a whole, 10 in detail), whose control
    /// points move by normal numbers with a standard deviation of `sigma` pixels. Pixels move by about half of that. Where control points
    /// move by less than half a cell, nothing folds over itself (Y. Choi, S. Lee, Graphical Models 62, 2000).
    #[must_use]
    pub fn elastic(self, cells: usize, sigma: f32) -> Self {
        Augment { elastic: Some((cells, sigma)), ..self }
    }

    /// What comes in from beyond the edges: a constant 0 if not said. Masks follow suit, except that a constant is
    /// [`Augment::mask_fill`] for them.
    #[must_use]
    pub fn fill(self, fill: Fill) -> Self {
        Augment { fill, ..self }
    }

    /// The class that comes into masks from beyond the edges where the image gets a constant: 0 if not said; a label that the loss
    /// ignores leaves these pixels out.
    #[must_use]
    pub fn mask_fill(self, class: u32) -> Self {
        Augment { mask_fill: class, ..self }
    }

    /// Blurred by a Gaussian with a standard deviation between these two, in pixels (0 to 100).
    #[must_use]
    pub fn blur(self, low: f32, high: f32) -> Self {
        Augment { blur: [low, high], ..self }
    }

    /// Brighter or darker by up to this share of the range (0 to 1).
    #[must_use]
    pub fn brightness(mut self, share: f32) -> Self {
        self.colour.brightness = share;
        self
    }

    /// The distance from every channel's mean multiplied by a factor between these two.
    #[must_use]
    pub fn contrast(mut self, low: f32, high: f32) -> Self {
        self.colour.contrast = [low, high];
        self
    }

    /// Brought into the range and raised to an exponent between these two (from 0.01); above 1 the greys become darker.
    #[must_use]
    pub fn gamma(mut self, low: f32, high: f32) -> Self {
        self.colour.gamma = [low, high];
        self
    }

    /// What black and white are in the images as the network sees them: 0 and 1 if not said. Brightness, contrast and gamma then never
    /// leave this range.
    #[must_use]
    pub fn range(mut self, black: f32, white: f32) -> Self {
        self.colour.range = [black, white];
        self.colour.clip = true;
        self
    }

    /// Normal noise of this standard deviation is added to every pixel of every channel.
    #[must_use]
    pub fn noise(self, sigma: f32) -> Self {
        Augment { noise: sigma, ..self }
    }

    /// A square of `size` by `size` pixels around a random one is set to 0, in this share of the samples. Masks stay.
    #[must_use]
    pub fn cutout(self, size: usize, probability: f32) -> Self {
        Augment { cutout: Some(Cutout { size: [size; 2], probability, fill: 0.0 }), ..self }
    }

    /// All targets are masks of the image, u32 or floats `[n, .., h, w]`: geometry happens to them too, by the
    /// nearest pixel.
    #[must_use]
    pub fn with_masks(self) -> Self {
        Augment { all_masks: true, ..self }
    }

    /// The target of this index is a mask; see [`Augment::with_masks`].
    #[must_use]
    pub fn with_mask(mut self, target: usize) -> Self {
        self.targets.push((target, Kind::Mask));
        self
    }

    /// The target of this index is an image, floats `[n, c, h, w]`, that must stay in place with the input, such as the one that a network
    /// for denoising is to give: geometry happens to it too, and nothing else.
    #[must_use]
    pub fn with_image(mut self, target: usize) -> Self {
        self.targets.push((target, Kind::Image));
        self
    }

    /// The target of this index stays as it is, although it has the image's size.
    #[must_use]
    pub fn with_still(mut self, target: usize) -> Self {
        self.targets.push((target, Kind::Still));
        self
    }

    /// The target of this index holds boxes, floats `[n, boxes, 4]`: left, top, right, bottom in pixels, the first pixel from 0 to 1.
    /// They become the upright boxes around what they have become, cut off at the edges; empty ones (padding) stay as they are.
    #[must_use]
    pub fn with_boxes(mut self, target: usize) -> Self {
        self.targets.push((target, Kind::Boxes));
        self
    }

    fn has_geometry(&self) -> bool {
        self.elastic.is_some() || self.map != WarpMap::identity(self.map.size)
    }

    fn kind(&self, target: usize) -> Option<Kind> {
        let said = self.targets.iter().rev().find(|(index, _)| *index == target).map(|(_, kind)| *kind);
        said.or(self.all_masks.then_some(Kind::Mask))
    }

    /// A target, changed as its image is.
    fn target(&self, target: &Var, kind: Kind, warp: &Geometry) -> Result<Var> {
        let [width, height] = warp.size;
        match kind {
            Kind::Still => Ok(target.clone()),
            Kind::Boxes => target.warp_boxes(&warp.map, warp.size),
            Kind::Image | Kind::Mask => {
                let (what, shape) = (if kind == Kind::Mask { "a mask" } else { "an image as target" }, target.shape());
                if shape.len() < 3 || shape[shape.len() - 2..] != [height, width] {
                    let expected = format!("one of the image's size, [batch, .., {height}, {width}]");
                    return Err(Error::shape(what, expected, target.spec().to_string()));
                }
                let (map, displacement) = (&warp.map, warp.displacement.as_ref());
                let planes = as_planes(target)?;
                let warped = match (kind, target.dtype(), self.fill) {
                    (Kind::Image, _, fill) => planes.warp(map, displacement, Sampling::Linear, fill),
                    (_, DType::U32, fill) => planes.warp_classes(map, displacement, fill, self.mask_fill),
                    (_, _, Fill::Constant(_)) => {
                        let fill = Fill::Constant(self.mask_fill as f32);
                        planes.warp(map, displacement, Sampling::Nearest, fill)
                    }
                    (_, _, fill) => planes.warp(map, displacement, Sampling::Nearest, fill),
                };
                warped?.reshape(shape)
            }
        }
    }

    fn geometry(&self, ctx: &AugmentCtx, size: [usize; 2]) -> Result<Geometry> {
        let map = ctx.uniform("warp", [DRAWS])?.warp_map(&WarpMap { size, ..self.map.clone() })?;
        let displacement = match self.elastic {
            Some((cells, sigma)) => Some(ctx.normal("elastic", [2, cells + 3, cells + 3])?.scale(sigma)?),
            None => None,
        };
        Ok(Geometry { size, map, displacement })
    }

    /// What happens to the pixels where they are.
    fn recolour(&self, ctx: &AugmentCtx, mut x: Var) -> Result<Var> {
        if self.blur[1] > 0.0 {
            let draws = ctx.uniform("blur", [1])?;
            x = x.blur(-1, self.blur, &draws)?.blur(-2, self.blur, &draws)?;
        }
        let changes = self.colour.brightness > 0.0 || self.colour.has_contrast() || self.colour.gamma != [1.0; 2];
        if changes {
            x = x.colour(&self.colour, &ctx.uniform("colour", [3])?)?;
        }
        if self.noise > 0.0 {
            x = x.add(&ctx.normal("noise", &x.shape()[1..])?.scale(self.noise)?)?;
        }
        match &self.cutout {
            Some(cutout) => as_planes(&x)?.cutout(cutout, &ctx.uniform("cutout", [3])?)?.reshape(x.shape()),
            None => Ok(x),
        }
    }
}

/// `[batch, .., h, w]` as `[batch, planes, h, w]`.
fn as_planes(x: &Var) -> Result<Var> {
    let shape = x.shape();
    let (lead, plane) = shape.split_at(shape.len() - 2);
    x.reshape([lead[0], lead[1..].iter().product(), plane[0], plane[1]])
}

/// Where the pixels of a batch go.
struct Geometry {
    /// Columns and rows.
    size: [usize; 2],
    map: Var,
    displacement: Option<Var>,
}

impl Augmentation for Augment {
    fn check(&self) -> Result<()> {
        self.map.check()?;
        self.colour.check()?;
        Blur { axis: 1, sigma: self.blur }.check()?;
        self.cutout.as_ref().map_or(Ok(()), Cutout::check)?;
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::parameter("augment", "noise", "a standard deviation of at least 0", self.noise));
        }
        if let Fill::Constant(value) = self.fill
            && !value.is_finite()
        {
            return Err(Error::parameter("augment", "fill", "finite", value));
        }
        if let Some((cells, sigma)) = self.elastic {
            if !(1..=MAX_CELLS).contains(&cells) {
                return Err(Error::parameter("augment", "elastic cells", format!("1 to {MAX_CELLS}"), cells));
            }
            if !(sigma >= 0.0 && sigma.is_finite()) {
                return Err(Error::parameter("augment", "elastic", "a standard deviation of at least 0", sigma));
            }
            if self.targets.iter().any(|(_, kind)| *kind == Kind::Boxes) {
                let reason = "boxes cannot follow an elastic deformation; leave out one of the two";
                return Err(Error::usage("augment", reason));
            }
        }
        Ok(())
    }

    fn build(&self, ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)> {
        self.check()?;
        let image = input(inputs, self.input)?;
        let spec = image.spec();
        let (height, width) = match *spec.shape {
            [_, _, h, w] | [_, _, _, h, w] => (h, w),
            _ => return Err(Error::shape("an image", "samples [c, h, w] or [c, d, h, w]", spec.to_string())),
        };
        if spec.dtype != DType::F32 {
            return Err(Error::dtype("an image", "f32 or u8", spec.to_string()));
        }
        if let Some((index, _)) = self.targets.iter().find(|(index, _)| *index >= targets.len()) {
            let expected = format!("below {}, the number of targets", targets.len());
            return Err(Error::parameter("augment", "target", expected, index));
        }
        let (mut inputs, mut targets) = (inputs.to_vec(), targets.to_vec());
        let mut x = image.clone();
        if self.has_geometry() {
            let geometry = self.geometry(ctx, [width, height])?;
            let displacement = geometry.displacement.as_ref();
            x = as_planes(&x)?.warp(&geometry.map, displacement, Sampling::Linear, self.fill)?.reshape(spec.shape)?;
            for (index, target) in targets.iter_mut().enumerate() {
                match self.kind(index) {
                    Some(Kind::Still) => {}
                    Some(kind) => *target = self.target(target, kind, &geometry)?,
                    None if target.shape().ends_with(&[height, width]) => {
                        let reason = "a target has the image's size and would stay where it is: with_masks() moves it with its image, \
                                      with_still(target) says that it must not";
                        return Err(Error::usage("augment", reason));
                    }
                    None => {}
                }
            }
        }
        inputs[self.input] = self.recolour(ctx, x)?;
        Ok((inputs, targets))
    }
}
