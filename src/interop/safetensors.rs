//! Named tensors in a safetensors file: <https://github.com/huggingface/safetensors>.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use flate2::Crc;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{Error, Result};
use crate::file::{self, Access};
use crate::host;
use crate::shape::TensorSpec;
use crate::tensor::{Elements, Tensor};

/// The word under which a file keeps the checksum (CRC-32) of its tensors (names, types, shapes and bytes, in the order of the names)
/// and of all else that it says about itself. Files of other programs have none.
const CHECKSUM: &str = "checksum";

/// A safetensors file, read whole and checked.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    about: HashMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
    /// Tensors of types that Galen does not have, and what they are.
    others: BTreeMap<String, String>,
}

impl Archive {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; those of [`Archive::from_bytes`].
    pub fn open(path: &Path) -> Result<Archive> {
        let bytes = file::read(path)?;
        Archive::from_bytes(path, &bytes)
    }

    /// Reads the content of a file; errors call it `path`.
    ///
    /// # Errors
    /// [`Error::Format`] where it is damaged. Tensors whose elements are not `f32`, `u32` or bytes are known by name only.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Archive> {
        let wrong = |expected: String, actual: String| Error::Format { path: path.to_owned(), expected, actual };
        let broken = |e: safetensors::SafeTensorError| wrong("a whole safetensors file".into(), e.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(broken)?;
        let about = SafeTensors::read_metadata(bytes).map_err(broken)?.1.metadata().clone().unwrap_or_default();
        let (mut tensors, mut others) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.iter() {
            let words = || view.data().as_chunks::<4>().0.iter();
            let (shape, what) = (view.shape().to_vec(), "a tensor of a file");
            let tensor = match view.dtype() {
                Dtype::F32 => Tensor::f32(shape, host::collected(words().map(|b| f32::from_le_bytes(*b)), what)?),
                Dtype::U32 => Tensor::u32(shape, host::collected(words().map(|b| u32::from_le_bytes(*b)), what)?),
                Dtype::U8 => Tensor::u8(shape, host::copied(view.data(), what)?),
                other => {
                    others.insert(name.to_owned(), format!("{other:?}{shape:?}"));
                    continue;
                }
            };
            let tensor = tensor.map_err(|e| wrong(format!("a whole tensor \"{name}\""), e.to_string()))?;
            tensors.insert(name.to_owned(), tensor);
        }
        if let Some(expected) = about.get(CHECKSUM) {
            let actual = checksum(&file.iter().collect(), &about);
            if *expected != actual {
                return Err(wrong(format!("content with checksum {expected}"), actual));
            }
        }
        Ok(Archive { path: path.to_owned(), about, tensors, others })
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says about itself under `key`.
    pub fn about(&self, key: &str) -> Option<&str> {
        self.about.get(key).map(String::as_str)
    }

    /// Whether its content was compared with a checksum: files of other programs have none.
    pub(crate) fn is_checked(&self) -> bool {
        self.about.contains_key(CHECKSUM)
    }

    /// The tensors by name, in the order of the names.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of this name, where there is one.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The names of all tensors, those too that cannot be read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().chain(self.others.keys()).map(String::as_str)
    }

    /// Type and shape of a tensor, readable or not.
    pub fn describe(&self, name: &str) -> Option<String> {
        self.tensors.get(name).map(|tensor| tensor.spec().to_string()).or_else(|| self.others.get(name).cloned())
    }

    /// The tensors that `wanted` names, each with its type and shape.
    ///
    /// # Errors
    /// [`Error::Format`], naming every tensor that is missing, has another type or shape, or holds a NaN or an infinity.
    pub fn wanted(&self, wanted: &[(String, TensorSpec)]) -> Result<Vec<&Tensor>> {
        let (mut found, mut bad) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (name, spec) in wanted {
            match self.tensors.get(name) {
                None => {
                    bad.push((
                        format!("\"{name}\" as {spec}"),
                        self.describe(name).unwrap_or_else(|| "none".to_owned()),
                    ));
                }
                Some(tensor) if tensor.spec() != *spec => {
                    bad.push((format!("\"{name}\" as {spec}"), tensor.spec().to_string()));
                }
                Some(tensor) if !is_finite(tensor) => {
                    bad.push((format!("finite numbers in \"{name}\""), "NaN or infinity".to_owned()));
                }
                Some(tensor) => found.push(tensor),
            }
        }
        if bad.is_empty() {
            return Ok(found);
        }
        Err(self.wrong(listed(bad.iter().map(|(expected, _)| expected)), listed(bad.iter().map(|(_, actual)| actual))))
    }

    /// The file is not what it should be.
    pub(crate) fn wrong(&self, expected: impl Into<String>, actual: impl Into<String>) -> Error {
        Error::Format { path: self.path.clone(), expected: expected.into(), actual: actual.into() }
    }
}

/// The first few of them, and how many more there are.
fn listed<'a>(items: impl ExactSizeIterator<Item = &'a String>) -> String {
    const SHOWN: usize = 4;
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<&str> = items.take(SHOWN).map(String::as_str).collect();
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn is_finite(tensor: &Tensor) -> bool {
    if let Elements::F32(x) = tensor.elements() { x.iter().all(|v| v.is_finite()) } else { true }
}

/// The checksum of a file's content, whatever the order in which it stands there.
fn checksum(tensors: &BTreeMap<&str, TensorView>, about: &HashMap<String, String>) -> String {
    let mut crc = Crc::new();
    // Lengths stand before what has no end of its own: nothing can move from one to the next.
    let number = |crc: &mut Crc, n: usize| crc.update(&(n as u64).to_le_bytes());
    let text = |crc: &mut Crc, text: &str| {
        number(crc, text.len());
        crc.update(text.as_bytes());
    };
    let about: BTreeMap<&String, &String> = about.iter().filter(|(key, _)| *key != CHECKSUM).collect();
    number(&mut crc, about.len());
    for (key, value) in about {
        text(&mut crc, key);
        text(&mut crc, value);
    }
    for (name, view) in tensors {
        text(&mut crc, name);
        text(&mut crc, &format!("{:?}", view.dtype()));
        number(&mut crc, view.shape().len());
        view.shape().iter().for_each(|extent| number(&mut crc, *extent));
        crc.update(view.data());
    }
    format!("{:08x}", crc.sum())
}

/// Writes named tensors and a few words about them. A file of that name is replaced only when the new one is whole and on disk.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written; [`Error::Usage`] where two tensors have one name.
pub fn write(path: &Path, tensors: &[(String, Tensor)], about: &[(&str, &str)]) -> Result<()> {
    write_as(path, tensors, about, Access::Shared)
}

/// Like [`write()`], with a new file readable by `access`.
///
/// # Errors
/// See there.
pub fn write_as(path: &Path, tensors: &[(String, Tensor)], about: &[(&str, &str)], access: Access) -> Result<()> {
    let refused = |e: safetensors::SafeTensorError| Error::usage("safetensors", e.to_string());
    let mut views = BTreeMap::new();
    for (name, tensor) in tensors {
        let dtype = match tensor {
            Tensor::F32(_) => Dtype::F32,
            Tensor::U32(_) => Dtype::U32,
            Tensor::U8(_) => Dtype::U8,
        };
        let view = TensorView::new(dtype, tensor.shape().to_vec(), tensor.elements().bytes()).map_err(refused)?;
        if views.insert(name.as_str(), view).is_some() {
            return Err(Error::usage("safetensors", format!("two tensors are called \"{name}\"")));
        }
    }
    let mut about: HashMap<String, String> = about.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    about.insert(CHECKSUM.to_owned(), checksum(&views, &about));
    // The crate makes the whole file in memory.
    let content: usize = tensors.iter().map(|(_, tensor)| tensor.elements().bytes().len()).sum();
    let header: usize = about.iter().map(|(key, text)| key.len() + text.len()).sum();
    host::expect_room(content + 4 * header + 256 * tensors.len(), "a file of tensors")?;
    let bytes = safetensors::serialize(views, Some(about)).map_err(refused)?;
    file::replace(path, &bytes, access)
}

/// Reads the tensors that `wanted` names, each with its type and shape.
///
/// # Errors
/// Those of [`Archive::open`] and [`Archive::wanted`].
pub fn read(path: &Path, wanted: &[(String, TensorSpec)]) -> Result<Vec<Tensor>> {
    Archive::open(path)?.wanted(wanted)?.into_iter().map(Tensor::copied).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_is_found() {
        let folder = std::env::temp_dir().join(format!("galen-safetensors-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("t.safetensors");
        let tensors = [
            ("b".to_owned(), Tensor::f32([2], vec![1.0, 2.0]).unwrap()),
            ("a".to_owned(), Tensor::u8([3], vec![1, 2, 3]).unwrap()),
        ];
        write(&path, &tensors, &[("format", "test")]).unwrap();
        let archive = Archive::open(&path).unwrap();
        assert_eq!(archive.about("format"), Some("test"));
        assert_eq!(archive.tensors().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(archive.tensor("b"), Some(&tensors[0].1));
        let whole = std::fs::read(&path).unwrap();
        let data = whole.len() - 11;
        for at in data..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(matches!(Archive::from_bytes(&path, &bytes), Err(Error::Format { .. })), "byte {at}");
        }
        for end in 0..whole.len() {
            assert!(matches!(Archive::from_bytes(&path, &whole[..end]), Err(Error::Format { .. })), "{end} bytes");
        }
        // What the header says is covered too. Only the checksum's own name may be lost: nothing else is then another.
        for at in 0..data {
            for bit in [0x01, 0x02, 0x20] {
                let mut bytes = whole.clone();
                bytes[at] ^= bit;
                match Archive::from_bytes(&path, &bytes) {
                    Err(Error::Format { path: named, .. }) => assert_eq!(named, path),
                    Err(other) => panic!("byte {at}: {other}"),
                    Ok(read) => {
                        assert_eq!(read.about(CHECKSUM), None, "byte {at} ^ {bit}");
                        assert_eq!(
                            (read.about("format"), &read.tensors),
                            (Some("test"), &archive.tensors),
                            "byte {at}"
                        );
                    }
                }
            }
        }
        let twice = [tensors[0].clone(), tensors[0].clone()];
        assert!(matches!(write(&path, &twice, &[]), Err(Error::Usage { .. })));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn files_of_other_programs_have_no_checksum() {
        let bytes = 1.5_f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &bytes).unwrap();
        let file = safetensors::serialize([("x", view)], None).unwrap();
        let read = Archive::from_bytes(Path::new("x"), &file).unwrap();
        assert_eq!(read.tensor("x"), Some(&Tensor::f32([1], vec![1.5]).unwrap()));
    }

    #[test]
    fn a_tensor_that_cannot_be_is_an_error_of_the_file() {
        // Empty, with extents whose product overflows.
        let header =
            r#"{"x":{"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]}}"#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        let message = Archive::from_bytes(Path::new("net.safetensors"), &file).unwrap_err().to_string();
        assert!(message.starts_with("net.safetensors: "), "{message}");
    }

    #[test]
    fn every_tensor_that_differs_is_named() {
        let tensors = BTreeMap::from([("a".to_owned(), Tensor::f32([1], vec![1.0]).unwrap())]);
        let archive = Archive { path: "x".into(), about: HashMap::new(), tensors, others: BTreeMap::new() };
        let wanted = ["a", "b", "c"].map(|name| (name.to_owned(), TensorSpec::f32([2])));
        let message = archive.wanted(&wanted).unwrap_err().to_string();
        assert_eq!(message, "x: expected \"a\" as f32[2], \"b\" as f32[2], \"c\" as f32[2], got f32[1], none, none");
    }
}
