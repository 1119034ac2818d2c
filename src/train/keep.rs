use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use super::load_report::LoadReport;
use super::model::{Attached, Model};
use super::preparation::Preparation;
use crate::error::{Error, Result};
use crate::file::Access;
use crate::graph::SlotSpec;
use crate::interop::safetensors::{self, Archive};
use crate::nn::Architecture;
use crate::tensor::Tensor;

/// The form of a model's file, under the key `format` of its header.
pub(super) const FORMAT: &str = "galen model 1";
/// Keys of the header.
pub(super) const ARCHITECTURE: &str = "architecture";
pub(super) const NO_ARCHITECTURE: &str = "no architecture";
const ATTACHED: &str = "attached";
const PREPARATION: &str = "preparation";

impl Model {
    /// Writes the model to a safetensors file: parameters and running statistics by name, the network as data
    /// ([`Architecture`]), its [`Preparation`] and what was [attached](Model::attach). A file of that name is replaced only when the new one is whole.
    ///
    /// A network that cannot be written as data, because it has an op of your own, is saved without: its file says why, and so does the
    /// log. [`Model::load`] reads such a file, [`Model::open`] does not. The file holds no path, no name of a machine and no time.
    ///
    /// A file that is replaced keeps its permissions; a symbolic link is replaced by the file, and what it points to stays as it is.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written; a device that fails.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.save_as(path.as_ref(), Access::Shared)
    }

    pub(super) fn save_as(&mut self, path: &Path, access: Access) -> Result<()> {
        let tensors = self.weights()?;
        let about = self.about()?;
        if let Some((_, reason)) = about.iter().find(|(key, _)| *key == NO_ARCHITECTURE) {
            log::warn!("{}: saved without its architecture: {reason}", path.display());
        }
        write(path, &tensors, &about, access)
    }

    /// What the model's file says about itself: keys and texts.
    pub(super) fn about(&mut self) -> Result<Vec<(&'static str, String)>> {
        let attached = serde_json::to_string(&self.attached).map_err(|e| Error::usage("attached", e.to_string()))?;
        let architecture = match self.written_architecture() {
            Ok(text) => (ARCHITECTURE, text.clone()),
            Err(reason) => (NO_ARCHITECTURE, reason.clone()),
        };
        let galen = env!("CARGO_PKG_VERSION").to_owned();
        let preparation = self.definition.preparation.written()?;
        let parts = [("format", FORMAT.to_owned()), ("galen", galen), architecture];
        Ok(parts.into_iter().chain([(PREPARATION, preparation), (ATTACHED, attached)]).collect())
    }

    /// Replaces the parameters, running statistics and [`Preparation`] by those of a file that [`Model::save`] wrote, and takes over what is
    /// attached to it.
    /// Nothing changes unless every one of them is there with its shape. The optimizer's state and a moving average of the parameters
    /// stay as they are.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is damaged or belongs to another model, with the first tensors
    /// that differ.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_file(&Archive::open(path.as_ref())?)
    }

    pub(super) fn load_file(&mut self, file: &Archive) -> Result<()> {
        let slots = self.kept_slots()?;
        let report = LoadReport::of(&slots, file);
        if !report.is_complete() {
            return Err(file.wrong(format!("the {} tensors of this model", slots.len()), report.wanting()));
        }
        let attached = attached(file)?;
        let preparation = preparation(file, self.definition.network.inputs().len())?;
        self.take(file, &slots)?;
        self.definition.preparation = preparation;
        self.attached.extend(attached);
        Ok(())
    }

    /// Replaces those parameters and running statistics that a file has under the same name and in the same shape, and says which: for a
    /// model that was changed since, or one that begins with another's first layers. What is attached to the file stays there, and so does
    /// its preparation.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is damaged or a number in it is not finite; nothing has
    /// changed then.
    ///
    /// ```
    /// use galen::nn::{Activation::Relu, Dense, MeanSquaredError, Sequential};
    /// use galen::{Device, optim::Adam, train::{Compile, Setup}};
    ///
    /// # let path = std::env::temp_dir().join(format!("galen-doc-{}.safetensors", std::process::id()));
    /// let setup = Setup::on(&Device::cpu_with_threads(1)?);
    /// let model = |outputs| {
    ///     let network = Sequential::new([4]).named("body", Dense::new(8).activation(Relu)).named("head", Dense::new(outputs));
    ///     network.compile_on(&setup, Adam::new(1e-3), MeanSquaredError, &[])
    /// };
    /// model(2)?.save(&path)?;
    /// let report = model(3)?.load_matching(&path)?;
    /// assert_eq!(report.matched, ["body/kernel", "body/bias"]);
    /// assert_eq!(report.other_shape[0].name, "head/kernel");
    /// # std::fs::remove_file(&path).expect("the file");
    /// # Ok::<(), galen::Error>(())
    /// ```
    pub fn load_matching(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        let file = Archive::open(path.as_ref())?;
        let mut slots = self.kept_slots()?;
        let report = LoadReport::of(&slots, &file);
        slots.retain(|slot| report.matched.contains(&slot.name));
        self.take(&file, &slots)?;
        Ok(report)
    }

    /// Replaces what lies in these slots.
    fn take(&mut self, file: &Archive, slots: &[SlotSpec]) -> Result<()> {
        let wanted: Vec<_> = slots.iter().map(|slot| (slot.name.clone(), slot.spec.clone())).collect();
        let tensors = file.wanted(&wanted)?;
        slots.iter().zip(&tensors).try_for_each(|(slot, tensor)| self.set_parameter(&slot.name, tensor))
    }

    /// Attaches something to the model that travels in its file: how its inputs were normalised, what its classes are called. What was
    /// attached under this name before is replaced.
    ///
    /// It is written as JSON, which has no NaN and no infinity: such a number is an error when it is asked for.
    ///
    /// # Errors
    /// Where the value cannot be written as JSON.
    ///
    /// ```
    /// # use galen::nn::{Dense, MeanSquaredError, Sequential};
    /// # use galen::{Device, optim::Adam, train::{Compile, Setup}};
    /// # let setup = Setup::on(&Device::cpu_with_threads(1)?);
    /// # let mut model = Sequential::new([2]).with(Dense::new(2)).compile_on(&setup, Adam::new(1e-3), MeanSquaredError, &[])?;
    /// model.attach("classes", &["benign", "malignant"])?;
    /// let classes: Option<Vec<String>> = model.attached("classes")?;
    /// assert_eq!(classes.expect("it was attached")[1], "malignant");
    /// # Ok::<(), galen::Error>(())
    /// ```
    pub fn attach(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let written = serde_json::to_value(value);
        let written = written.map_err(|e| Error::usage(format!("\"{name}\" attached to a model"), e.to_string()))?;
        self.attached.insert(name.to_owned(), written);
        Ok(())
    }

    /// What is attached to the model under this name; `None` where there is nothing.
    ///
    /// # Errors
    /// Where it is something else than a `T`.
    pub fn attached<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        read_attached(&self.attached, name)
    }

    /// The network as data.
    ///
    /// # Errors
    /// See [`Architecture::of`].
    pub fn architecture(&self) -> Result<Architecture> {
        Architecture::of(self.definition.network.as_ref())
    }

    /// The network as JSON, or the reason why it cannot be written. Found out once: a model's network stays as it is.
    fn written_architecture(&mut self) -> Result<&String, &String> {
        let network = self.definition.network.as_ref();
        let write = || {
            let architecture = Architecture::of(network).map_err(|e| e.to_string())?;
            serde_json::to_string(&architecture).map_err(|e| e.to_string())
        };
        self.written.get_or_insert_with(write).as_ref()
    }

    /// What is saved: parameters, then statistics.
    fn kept_slots(&self) -> Result<Vec<SlotSpec>> {
        Ok(self.parameter_specs()?.into_iter().chain(self.statistic_specs()).collect())
    }
}

/// Writes a model's file: its tensors, and [what it says about itself](Model::about).
pub(super) fn write(path: &Path, tensors: &[(String, Tensor)], about: &[(&str, String)], access: Access) -> Result<()> {
    let about: Vec<(&str, &str)> = about.iter().map(|(key, text)| (*key, text.as_str())).collect();
    safetensors::write_as(path, tensors, &about, access)
}

/// What a file says of its model's preparation, for a network with so many inputs; nothing is known where it says nothing.
pub(super) fn preparation(file: &Archive, inputs: usize) -> Result<Preparation> {
    let Some(text) = file.about(PREPARATION) else { return Ok(Preparation::new(inputs)) };
    Preparation::read(text, inputs).map_err(|reason| file.wrong("a preparation", reason))
}

/// What is attached to a file.
pub(super) fn attached(file: &Archive) -> Result<Attached> {
    let Some(text) = file.about(ATTACHED) else { return Ok(Attached::default()) };
    serde_json::from_str(text).map_err(|e| file.wrong("a JSON object under \"attached\"", e.to_string()))
}

/// What is attached under this name, as a `T`.
pub(super) fn read_attached<T: DeserializeOwned>(attached: &Attached, name: &str) -> Result<Option<T>> {
    let read = |value: &Json| T::deserialize(value);
    attached.get(name).map(read).transpose().map_err(|e| {
        Error::usage(
            format!("\"{name}\" attached to a model"),
            format!("it is something else than what is wanted: {e}"),
        )
    })
}
