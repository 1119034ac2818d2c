//! Named tensors in a safetensors file: <https://github.com/huggingface/safetensors>.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::file;
use crate::tensor::{Elements, Tensor};

/// Writes named tensors and a few words about them. A file of that name is replaced only when the new one is whole and on disk.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write(path: &Path, tensors: &[(String, Tensor)], about: &[(&str, &str)]) -> Result<()> {
    let refused = |e: safetensors::SafeTensorError| Error::usage("safetensors", e.to_string());
    let mut views = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let dtype = match tensor {
            Tensor::F32(_) => Dtype::F32,
            Tensor::U32(_) => Dtype::U32,
            Tensor::U8(_) => Dtype::U8,
        };
        let view = TensorView::new(dtype, tensor.shape().to_vec(), tensor.elements().bytes()).map_err(refused)?;
        views.push((name.as_str(), view));
    }
    let about: HashMap<String, String> = about.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let bytes = safetensors::serialize(views, Some(about)).map_err(refused)?;
    file::replace(path, &bytes)
}

/// Reads the tensors that `wanted` names, each with its type and shape.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is damaged, a tensor is missing, or one has another
/// type or shape.
pub fn read(path: &Path, wanted: &[(String, crate::TensorSpec)]) -> Result<Vec<Tensor>> {
    let bytes = std::fs::read(path).map_err(|reason| Error::Io { path: path.to_owned(), reason })?;
    let wrong = |expected: String, actual: String| Error::Format { path: path.into(), expected, actual };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong("a whole safetensors file".into(), e.to_string()))?;
    let one = |(name, spec): &(String, crate::TensorSpec)| {
        let view = file.tensor(name).map_err(|e| wrong(format!("a tensor \"{name}\""), e.to_string()))?;
        let words = || view.data().chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let shape = view.shape().to_vec();
        let tensor = match view.dtype() {
            Dtype::F32 => Tensor::f32(shape, words().map(f32::from_le_bytes).collect())?,
            Dtype::U32 => Tensor::u32(shape, words().map(u32::from_le_bytes).collect())?,
            Dtype::U8 => Tensor::u8(shape, view.data().to_vec())?,
            other => return Err(wrong(format!("\"{name}\" as {spec}"), format!("{other:?}"))),
        };
        if tensor.spec() != *spec {
            return Err(wrong(format!("\"{name}\" as {spec}"), tensor.spec().to_string()));
        }
        match tensor.elements() {
            Elements::F32(x) if x.iter().any(|v| !v.is_finite()) => {
                Err(wrong(format!("finite numbers in \"{name}\""), "NaN or infinity".into()))
            }
            _ => Ok(tensor),
        }
    };
    wanted.iter().map(one).collect()
}
