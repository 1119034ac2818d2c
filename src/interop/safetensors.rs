//! Named tensors in a safetensors file: <https://github.com/huggingface/safetensors>.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::file;
use crate::shape::{DType, Shape, TensorSpec};
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
pub fn read(path: &Path, wanted: &[(String, TensorSpec)]) -> Result<Vec<Tensor>> {
    let file = File::read(path)?;
    wanted.iter().map(|(name, spec)| file.tensor(name, spec)).collect()
}

/// A safetensors file in memory, its header checked: every tensor's bytes are there.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
    about: HashMap<String, String>,
    tensors: BTreeMap<String, Stored>,
}

/// What a file says of one of its tensors; `Display` shows type and shape, `f32[3, 4]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    dtype: Dtype,
    shape: Shape,
    bytes: Range<usize>,
}

impl Stored {
    /// Whether the tensor has this type and shape.
    pub fn is(&self, spec: &TensorSpec) -> bool {
        self.spec().as_ref() == Some(spec)
    }

    /// Type and shape, where the type is one that Galen computes with.
    fn spec(&self) -> Option<TensorSpec> {
        let dtype = match self.dtype {
            Dtype::F32 => DType::F32,
            Dtype::U32 => DType::U32,
            Dtype::U8 => DType::U8,
            _ => return None,
        };
        Some(TensorSpec::new(self.shape.clone(), dtype))
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spec() {
            Some(spec) => write!(f, "{spec}"),
            None => write!(f, "{:?}{}", self.dtype, self.shape),
        }
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).field("tensors", &self.tensors.len()).finish_non_exhaustive()
    }
}

impl File {
    /// Reads a file whole.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Format`] where its header is damaged or names bytes that are not there.
    pub fn read(path: &Path) -> Result<File> {
        let bytes = std::fs::read(path).map_err(|reason| Error::Io { path: path.to_owned(), reason })?;
        let damaged = |e: safetensors::SafeTensorError| Error::Format {
            path: path.to_owned(),
            expected: "a whole safetensors file".into(),
            actual: e.to_string(),
        };
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        // The header comes after its length, eight bytes; the tensors come after the header.
        let start = length + 8;
        let one = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
            let bytes = start + info.data_offsets.0..start + info.data_offsets.1;
            (name, Stored { dtype: info.dtype, shape: Shape::from(&info.shape[..]), bytes })
        };
        let tensors = header.tensors().into_iter().map(one).collect();
        let about = header.metadata().clone().unwrap_or_default();
        Ok(File { path: path.to_owned(), bytes, about, tensors })
    }

    /// Where the file was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A word about the tensors: the value of `key` in the header's metadata.
    pub fn about(&self, key: &str) -> Option<&str> {
        self.about.get(key).map(String::as_str)
    }

    /// The tensors that the file holds, by name.
    pub fn tensors(&self) -> &BTreeMap<String, Stored> {
        &self.tensors
    }

    /// The tensor called `name`, with this type and shape.
    ///
    /// # Errors
    /// [`Error::Format`] where there is none of this name, type and shape, or a number in it is not finite.
    pub fn tensor(&self, name: &str, spec: &TensorSpec) -> Result<Tensor> {
        let wrong = |expected: String, actual: String| Error::Format { path: self.path.clone(), expected, actual };
        let Some(stored) = self.tensors.get(name) else {
            return Err(wrong(format!("a tensor \"{name}\""), "none of this name".into()));
        };
        let Some(bytes) = self.bytes.get(stored.bytes.clone()).filter(|_| stored.is(spec)) else {
            return Err(wrong(format!("\"{name}\" as {spec}"), stored.to_string()));
        };
        let words = || bytes.chunks_exact(4).map(|b| [b[0], b[1], b[2], b[3]]);
        let shape = stored.shape.to_vec();
        let tensor = match spec.dtype {
            DType::F32 => Tensor::f32(shape, words().map(f32::from_le_bytes).collect())?,
            DType::U32 => Tensor::u32(shape, words().map(u32::from_le_bytes).collect())?,
            DType::U8 => Tensor::u8(shape, bytes.to_vec())?,
        };
        match tensor.elements() {
            Elements::F32(x) if x.iter().any(|v| !v.is_finite()) => {
                Err(wrong(format!("finite numbers in \"{name}\""), "NaN or infinity".into()))
            }
            _ => Ok(tensor),
        }
    }
}
