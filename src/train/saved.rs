use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::keep::{self, ARCHITECTURE, FORMAT, NO_ARCHITECTURE};
use super::model::{Attached, Model, Setup, Values};
use super::{LoadReport, Metric, Preparation};
use crate::error::{Error, Result};
use crate::graph::{PARAMETERS, SlotSpec};
use crate::interop::safetensors::Archive;
use crate::nn::{Architecture, Losses, Network, STATISTICS, Summary};
use crate::optim::Tuned;

/// A model's file: network, parameters and what is attached, on no device yet.
///
/// [`Model::open`] is the short way to a model that predicts. This is the way to one that is trained on or evaluated:
///
/// ```
/// use galen::nn::{Activation::Softmax, CategoricalCrossEntropy, Dense, Sequential};
/// use galen::{Device, optim::Adam, train::{Compile, Metric, Model, SavedModel, Setup}};
///
/// # let path = std::env::temp_dir().join(format!("galen-saved-{}.safetensors", std::process::id()));
/// let setup = Setup::on(&Device::cpu_with_threads(1)?);
/// let network = Sequential::new([4]).with(Dense::new(3).activation(Softmax));
/// network.compile_on(&setup, Adam::new(1e-3), CategoricalCrossEntropy::new(), &[])?.save(&path)?;
///
/// // Elsewhere, without the code of the network:
/// let saved = SavedModel::read(&path)?;
/// println!("{}", saved.summary()?);
/// let model = saved.compile_on(&setup, Adam::new(1e-4), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
/// # std::fs::remove_file(&path).expect("the file");
/// # Ok::<(), galen::Error>(())
/// ```
pub struct SavedModel {
    file: Archive,
    architecture: Architecture,
    attached: Attached,
}

impl fmt::Debug for SavedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedModel").field("file", &self.file).field("architecture", &self.architecture).finish()
    }
}

impl SavedModel {
    /// Reads a file that [`Model::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Format`] where it is damaged, is no such file, is of a later form, or carries no
    /// architecture.
    pub fn read(path: impl AsRef<Path>) -> Result<SavedModel> {
        let file = Archive::open(path.as_ref())?;
        let wrong = |expected: &str, actual: String| Error::Format {
            path: path.as_ref().to_owned(),
            expected: expected.into(),
            actual,
        };
        let Some(text) = file.about(ARCHITECTURE) else {
            let reason = file.about(NO_ARCHITECTURE).unwrap_or("it was not written as a model");
            let actual = format!("none ({reason}); build the network in code, and use Model::load");
            return Err(wrong("a model with its architecture", actual));
        };
        if file.about("format") != Some(FORMAT) {
            let actual = format!("{:?}, written by Galen {:?}", file.about("format"), file.about("galen"));
            return Err(wrong(&format!("the format \"{FORMAT}\""), actual));
        }
        // Every model that Galen writes has one: where it is missing, its name was damaged.
        if !file.is_checked() {
            return Err(wrong("a model with the checksum of its content", "none".to_owned()));
        }
        let architecture: Architecture =
            serde_json::from_str(text).map_err(|e| wrong("an architecture", e.to_string()))?;
        let attached = keep::attached(&file)?;
        let saved = SavedModel { file, architecture, attached };
        saved.check()?;
        saved.preparation()?;
        Ok(saved)
    }

    /// Refuses an architecture whose parameters the file does not hold: it may claim any size.
    fn check(&self) -> Result<()> {
        let arenas = [PARAMETERS, STATISTICS].into_iter();
        let slots: Vec<SlotSpec> = arenas.flat_map(|arena| self.architecture.slots(arena)).collect();
        let report = LoadReport::of(&slots, &self.file);
        if report.is_complete() {
            return Ok(());
        }
        Err(Error::Format {
            path: self.file.path().to_owned(),
            expected: format!("the {} tensors of its architecture", slots.len()),
            actual: report.wanting(),
        })
    }

    /// The network: it can be compiled, summarised and drawn like any other.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The layers with their output shapes and parameters.
    ///
    /// # Errors
    /// Where the description is damaged.
    pub fn summary(&self) -> Result<Summary> {
        self.architecture.summary()
    }

    /// What is done to the inputs before they reach the network.
    ///
    /// # Errors
    /// [`Error::Format`] where the description is damaged.
    pub fn preparation(&self) -> Result<Preparation> {
        keep::preparation(&self.file, self.architecture.inputs().len())
    }

    /// What is attached under this name; see [`Model::attach`].
    ///
    /// # Errors
    /// Where it is something else than a `T`.
    pub fn attached<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        keep::read_attached(&self.attached, name)
    }

    /// The model, to be trained or evaluated, on the fastest device with seed 0; see [`SavedModel::compile_on`].
    ///
    /// # Errors
    /// See there.
    pub fn compile(self, optimizer: impl Into<Tuned>, losses: impl Into<Losses>, metrics: &[Metric]) -> Result<Model> {
        self.compile_on(&Setup::best()?, optimizer, losses, metrics)
    }

    /// The model with the file's parameters, to be trained or evaluated.
    ///
    /// # Errors
    /// Where the description is damaged or does not fit the memory, the file holds numbers that are not finite, an optimizer's setting
    /// makes no sense, or the device fails.
    pub fn compile_on(
        self,
        setup: &Setup,
        optimizer: impl Into<Tuned>,
        losses: impl Into<Losses>,
        metrics: &[Metric],
    ) -> Result<Model> {
        let SavedModel { file, architecture, .. } = self;
        let (optimizer, losses) = (optimizer.into(), losses.into());
        let mut model = Model::new(Box::new(architecture), setup, optimizer, losses, metrics, Values::Follow)?;
        model.load_file(&file)?;
        Ok(model)
    }
}

impl Model {
    /// The model of a file that [`Model::save`] wrote, ready to predict, without the code that built its network.
    ///
    /// It has no loss and no optimizer: for evaluating it or training it on there is [`SavedModel`].
    ///
    /// # Errors
    /// See [`SavedModel::read`] and [`SavedModel::compile_on`].
    pub fn open(path: impl AsRef<Path>, setup: &Setup) -> Result<Model> {
        let SavedModel { file, architecture, .. } = SavedModel::read(path)?;
        let mut model = Model::without_loss(Box::new(architecture), setup)?;
        model.load_file(&file)?;
        Ok(model)
    }
}
