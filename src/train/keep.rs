use std::path::Path;

use super::model::Model;
use crate::error::Result;
use crate::interop::safetensors;

impl Model {
    /// Writes the parameters and running statistics, by name, to a safetensors file. A file of that name is replaced only when the new one is whole.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the file cannot be written; a device that fails.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let mut tensors = Vec::new();
        for slot in self.parameter_specs()?.into_iter().chain(self.statistic_specs()) {
            let tensor = self.parameter(&slot.name)?;
            tensors.push((slot.name, tensor));
        }
        let about = [("format", "galen parameters 1"), ("galen", env!("CARGO_PKG_VERSION"))];
        safetensors::write(path.as_ref(), &tensors, &about)
    }

    /// Replaces the parameters and running statistics by those of a file that [`Model::save`] wrote. Nothing changes unless every one of them is there
    /// with its shape. The optimizer's state and a moving average of the parameters stay as they are.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where the file cannot be read, [`crate::Error::Format`] where it is damaged or belongs to another
    /// model.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let slots = self.parameter_specs()?.into_iter().chain(self.statistic_specs());
        let wanted: Vec<_> = slots.map(|slot| (slot.name, slot.spec)).collect();
        let tensors = safetensors::read(path.as_ref(), &wanted)?;
        wanted.iter().zip(&tensors).try_for_each(|((name, _), tensor)| self.set_parameter(name, tensor))
    }
}
