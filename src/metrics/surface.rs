use ndarray::{ArrayView, ArrayViewD, Axis, Dimension, Slice};

use super::check;
use super::distance::squared_distances;
use super::ranked::quantile;
use crate::error::{Error, Result};

/// The distances between the surfaces of two masks, in the unit of the spacing (millimetres).
///
/// As MedPy 0.5 defines them: a mask's surface are those of its pixels or voxels that have a neighbour outside of it, neighbours
/// being those that share a face (`connectivity=1`: 4 in the plane, 6 in space), and what lies beyond the image's edge being
/// outside. From the centre of each the distance is measured to the nearest centre of the other surface.
///
/// ```
/// use galen::metrics::SurfaceDistances;
/// use ndarray::Array2;
///
/// let square = |left: usize| Array2::from_shape_fn((8, 12), move |(i, j)| (2..6).contains(&i) && (left..left + 4).contains(&j));
/// let distances = SurfaceDistances::new(square(2).view(), square(5).view(), &[1.0, 0.5])?;
/// assert_eq!(distances.hausdorff(), 1.5);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceDistances {
    /// From each point of the true surface to the predicted one.
    from_truth: Vec<f64>,
    /// From each point of the predicted surface to the true one.
    from_predicted: Vec<f64>,
}

impl SurfaceDistances {
    /// Measures two masks of the same shape, with the distance between neighbours along each axis, in the axes' order (of an image
    /// height and width, of a volume usually depth, height, width).
    ///
    /// # Errors
    /// [`Error::Shape`] where the shapes differ; [`Error::Parameter`] where there is not one positive spacing per axis;
    /// [`Error::Data`] where a mask is empty (which): then there is no surface to measure to.
    pub fn new<D: Dimension>(
        truth: ArrayView<bool, D>,
        predicted: ArrayView<bool, D>,
        spacing: &[f64],
    ) -> Result<Self> {
        check::same_shape("surface distance", &truth.raw_dim(), &predicted.raw_dim())?;
        if spacing.len() != truth.ndim() || spacing.iter().any(|s| !s.is_normal() || *s < 0.0) {
            let expected = format!("{} positive distances, one per axis", truth.ndim());
            return Err(Error::parameter("surface distance", "spacing", expected, format!("{spacing:?}")));
        }
        for (mask, name) in [(&truth, "true mask"), (&predicted, "predicted mask")] {
            if !mask.iter().any(|v| *v) {
                let expected = "at least one pixel or voxel, as a distance to nothing is not defined";
                return Err(Error::data(name, expected, "an empty mask"));
            }
        }
        let (truth, predicted) = cropped(truth.into_dyn(), predicted.into_dyn());
        let shape = truth.shape().to_vec();
        let surfaces = [border(&truth), border(&predicted)];
        drop((truth, predicted));
        let from = |points: &[bool], other: &[bool]| -> Vec<f64> {
            let squared = squared_distances(other, &shape, spacing);
            points.iter().zip(&squared).filter(|(on, _)| **on).map(|(_, d)| d.sqrt()).collect()
        };
        let [t, p] = &surfaces;
        let distances = SurfaceDistances { from_truth: from(t, p), from_predicted: from(p, t) };
        if distances.hausdorff().is_finite() {
            return Ok(distances);
        }
        let expected = "distances whose squares are finite";
        Err(Error::parameter("surface distance", "spacing", expected, format!("{spacing:?}")))
    }

    /// Measures one class of two maps of classes.
    ///
    /// # Errors
    /// See [`SurfaceDistances::new`].
    pub fn of_class<D: Dimension>(
        truth: ArrayView<u32, D>,
        predicted: ArrayView<u32, D>,
        class: u32,
        spacing: &[f64],
    ) -> Result<Self> {
        let mask = |map: ArrayView<u32, D>| map.mapv(|c| c == class);
        Self::new(mask(truth).view(), mask(predicted).view(), spacing)
    }

    /// From each point of the true surface to the predicted one, in the order of the points in the array.
    pub fn from_truth(&self) -> &[f64] {
        &self.from_truth
    }

    /// From each point of the predicted surface to the true one, in the order of the points in the array.
    pub fn from_predicted(&self) -> &[f64] {
        &self.from_predicted
    }

    /// Hausdorff's distance: the largest of both directions. Source: MedPy, `hd`.
    pub fn hausdorff(&self) -> f64 {
        self.from_truth.iter().chain(&self.from_predicted).copied().fold(0.0, f64::max)
    }

    /// The distance below which 95 % of both directions together lie. Source: MedPy, `hd95`.
    pub fn hausdorff_95(&self) -> f64 {
        let mut all = [self.from_truth.as_slice(), &self.from_predicted].concat();
        all.sort_unstable_by(f64::total_cmp);
        quantile(&all, 0.95)
    }

    /// The mean distance of all points of both surfaces. Source: MedPy 0.5, `assd`; until 0.4 it was the mean of the two directions'
    /// means.
    pub fn average_symmetric(&self) -> f64 {
        let points = self.from_truth.len() + self.from_predicted.len();
        self.from_truth.iter().chain(&self.from_predicted).sum::<f64>() / points as f64
    }
}

/// Both masks without the margin in which neither has anything: no surface lies there, and nothing is nearer through it.
fn cropped<'a>(
    mut truth: ArrayViewD<'a, bool>,
    mut predicted: ArrayViewD<'a, bool>,
) -> (ArrayViewD<'a, bool>, ArrayViewD<'a, bool>) {
    for axis in (0..truth.ndim()).map(Axis) {
        let used = |i: &usize| [&truth, &predicted].iter().any(|m| m.index_axis(axis, *i).iter().any(|v| *v));
        let length = truth.len_of(axis);
        let first = (0..length).find(used).unwrap_or(0);
        let last = (first..length).rev().find(used).unwrap_or(first);
        let kept = Slice::from(first..=last);
        truth.slice_axis_inplace(axis, kept);
        predicted.slice_axis_inplace(axis, kept);
    }
    (truth, predicted)
}

/// Which elements belong to the mask and have a neighbour along an axis that does not, in row-major order.
fn border(mask: &ArrayViewD<bool>) -> Vec<bool> {
    let inside: Vec<bool> = mask.iter().copied().collect();
    let mut strides = Vec::new();
    let mut stride = inside.len();
    for length in mask.shape() {
        stride /= length;
        strides.push((stride, *length));
    }
    let on_border = |i: usize| {
        strides.iter().any(|(stride, length)| {
            let at = i / stride % length;
            at == 0 || at + 1 == *length || !inside[i - stride] || !inside[i + stride]
        })
    };
    (0..inside.len()).map(|i| inside[i] && on_border(i)).collect()
}
