use ndarray::{ArrayView, Dimension, Zip};

use super::Report;
use super::draft::{Draft, Findings, finish};
use super::rows::Rows;
use crate::error::{Error, Result};
use crate::metrics::{Overlap, SurfaceDistances};

/// True and predicted masks, image by image: see [`Report::segmentation`].
#[derive(Clone, Debug)]
pub struct Segmentation {
    spacing: Vec<f64>,
    images: Vec<Measured>,
    #[cfg(feature = "plot")]
    examples: Vec<crate::plot::Example>,
}

/// A number of one image, where it has it.
type Of = fn(&Measured) -> Option<f64>;

/// What is measured of one image.
#[derive(Clone, Debug)]
struct Measured {
    dice: f64,
    iou: f64,
    /// Hausdorff 95 and average symmetric surface distance; `None` where a mask is empty.
    distances: Option<(f64, f64)>,
}

impl Report {
    /// A report of masks, which are added image by image, volume by volume: [`Draft::image`]. `spacing` is the distance between
    /// neighbours along each axis, in millimetres: `&[1.0, 1.0]` measures in pixels.
    ///
    /// Metrics are means over images; those of distances leave out images in which a mask is empty, and say so.
    pub fn segmentation(name: impl Into<String>, spacing: &[f64]) -> Draft<Segmentation> {
        let kind = Segmentation {
            spacing: spacing.to_vec(),
            images: Vec::new(),
            #[cfg(feature = "plot")]
            examples: Vec::new(),
        };
        Draft::new(name, kind)
    }
}

impl Draft<Segmentation> {
    /// Adds an image, or a volume: its true and its predicted mask.
    ///
    /// # Errors
    /// [`Error::Shape`] where the masks differ in shape; [`Error::Parameter`] where there is not one positive spacing per axis.
    pub fn image<D: Dimension>(mut self, truth: ArrayView<bool, D>, predicted: ArrayView<bool, D>) -> Result<Self> {
        let spacing = &self.kind.spacing;
        if spacing.len() != truth.ndim() || spacing.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            let expected = format!("{} positive distances, one per axis", truth.ndim());
            return Err(Error::parameter("report", "spacing", expected, format!("{spacing:?}")));
        }
        let overlap = Overlap::new(truth.view(), predicted.view())?;
        // Distances between masks of the same shape are undefined only where there is nothing to measure to.
        let distances = if overlap.truth > 0 && overlap.predicted > 0 {
            let distances = SurfaceDistances::new(truth, predicted, spacing)?;
            Some((distances.hausdorff_95(), distances.average_symmetric()))
        } else {
            None
        };
        self.kind.images.push(Measured { dice: overlap.dice(), iou: overlap.iou(), distances });
        Ok(self)
    }

    /// Like [`Draft::image`], of pixels that have a label: others count as background in both masks, so that neither overlap nor
    /// distances see them. The report says how many there were.
    ///
    /// # Errors
    /// As [`Draft::image`]; also where `labelled` differs in shape.
    pub fn image_within<D: Dimension>(
        mut self,
        truth: ArrayView<bool, D>,
        predicted: ArrayView<bool, D>,
        labelled: ArrayView<bool, D>,
    ) -> Result<Self> {
        if labelled.shape() != truth.shape() || predicted.shape() != truth.shape() {
            let expected = format!("masks of one shape, {:?}", truth.shape());
            let actual = format!("{:?} and {:?}", predicted.shape(), labelled.shape());
            return Err(Error::shape("report, masks", expected, actual));
        }
        self.settings.left_out += labelled.iter().filter(|there| !**there).count();
        let within =
            |mask: ArrayView<bool, D>| Zip::from(mask).and(&labelled).map_collect(|mask, there| *mask && *there);
        let (truth, predicted) = (within(truth), within(predicted));
        self.image(truth.view(), predicted.view())
    }

    /// Images to show, with their borders.
    #[cfg(feature = "plot")]
    pub fn examples(mut self, examples: impl IntoIterator<Item = crate::plot::Example>) -> Self {
        self.kind.examples.extend(examples);
        self
    }

    /// Computes everything.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no images, or not as many groups as images; [`Error::Parameter`] where a setting makes no sense.
    pub fn build(self) -> Result<Report> {
        let Draft { name, settings, kind } = self;
        let images = &kind.images;
        settings.check(images.len())?;
        let mut rows = Rows::new(&settings, images.len());
        let metrics: [(&str, Of); 4] = [
            ("dice", |image| Some(image.dice)),
            ("iou", |image| Some(image.iou)),
            ("hausdorff_95", |image| image.distances.map(|d| d.0)),
            ("average_surface_distance", |image| image.distances.map(|d| d.1)),
        ];
        for (key, of) in metrics {
            let of: Vec<Option<f64>> = images.iter().map(of).collect();
            let values = |rows: &[usize]| rows.iter().filter_map(|row| of[*row]).collect::<Vec<f64>>();
            let n = of.iter().flatten().count();
            rows.resampled(key, n, |rows| mean(&values(rows)));
            if key == "dice" {
                rows.resampled("dice_median", n, |rows| median(values(rows)));
            }
            if n > 0 && n < of.len() {
                let left = format!("{} of {} images are left out: a mask is empty", of.len() - n, of.len());
                rows.lacks(format!("{key} of some"), left);
            }
        }
        #[cfg(feature = "plot")]
        let pictures = {
            let mut album = super::pictures::Album::new(&name, &settings, &mut rows);
            album.examples(&kind.examples);
            album.pictures
        };
        let findings = Findings {
            #[cfg(feature = "plot")]
            pictures,
            ..Findings::default()
        };
        Ok(finish(&name, "segmentation", images.len(), &settings, rows, findings))
    }
}

fn mean(values: &[f64]) -> Result<f64> {
    if values.is_empty() {
        return Err(Error::data("mean over images", "an image in which neither mask is empty", "none"));
    }
    Ok(values.iter().sum::<f64>() / values.len() as f64)
}

fn median(mut values: Vec<f64>) -> Result<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    // Of an even number the two in the middle, of an odd one the same twice.
    match (values.get(n.saturating_sub(1) / 2), values.get(n / 2)) {
        (Some(low), Some(high)) => Ok((low + high) / 2.0),
        _ => mean(&values),
    }
}
