//! Parameters in a safetensors file: <https://github.com/huggingface/safetensors>.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use crate::train::Model;

impl Model {
    /// Writes the parameters, by name, to a safetensors file. A file of that name is replaced only when the new one is whole.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be written; a device that fails.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut tensors = Vec::new();
        for slot in self.parameter_specs()? {
            tensors.push((slot.name.clone(), self.parameter(&slot.name)?));
        }
        let mut views = Vec::new();
        for (name, tensor) in &tensors {
            let view = TensorView::new(Dtype::F32, tensor.shape().to_vec(), tensor.elements().bytes())
                .map_err(|e| Error::usage(name.as_str(), e.to_string()))?;
            views.push((name.as_str(), view));
        }
        let about = HashMap::from([
            ("format".to_owned(), "galen parameters 1".to_owned()),
            ("galen".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ]);
        let bytes =
            safetensors::serialize(views, Some(about)).map_err(|e| Error::usage("safetensors", e.to_string()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        std::fs::write(&beside, bytes).map_err(io)?;
        std::fs::rename(&beside, path).map_err(io)
    }

    /// Replaces the parameters by those of a file that [`Model::save`] wrote. Nothing changes unless every one of them is there
    /// with its shape.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read, [`Error::Format`] where it is damaged or belongs to another model.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let wrong =
            |expected: &str, actual: String| Error::Format { path: path.into(), expected: expected.into(), actual };
        let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong("a whole safetensors file", e.to_string()))?;
        let mut tensors = Vec::new();
        for slot in self.parameter_specs()? {
            let view =
                file.tensor(&slot.name).map_err(|e| wrong(&format!("a tensor \"{}\"", slot.name), e.to_string()))?;
            if view.dtype() != Dtype::F32 || view.shape() != &*slot.spec.shape {
                let actual = format!("{:?} {:?}", view.dtype(), view.shape());
                return Err(wrong(&format!("\"{}\" as {}", slot.name, slot.spec), actual));
            }
            let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            tensors.push((slot.name.clone(), Tensor::f32(slot.spec.shape, floats)?));
        }
        tensors.iter().try_for_each(|(name, tensor)| self.set_parameter(name, tensor))
    }
}
