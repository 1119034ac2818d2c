//! IDX, the format of MNIST and its relatives (Fashion-MNIST, EMNIST, K-MNIST).
//!
//! Two zero bytes, one byte for the type of the elements, one for the number of dimensions; then each dimension as a
//! big-endian `u32`, outermost first; then the elements, row-major, and nothing after them.
//! Source: <http://yann.lecun.com/exdb/mnist/>. Only unsigned bytes (type `0x08`) are read, which is what those sets hold.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ndarray::{ArrayD, Axis, IxDyn};

use super::MOST_UNPACKED;
use crate::error::{Error, Result};
use crate::file;

/// What the MNIST files hold. Pixels are 0 (background) to 255 (ink), labels are the digits 0 to 9.
#[derive(Clone, Debug, PartialEq)]
pub struct Mnist {
    /// Images to train on, `[n, 28, 28]`: sample, row, column.
    pub train_images: ArrayD<u8>,
    /// The digit in each training image, `n` of them.
    pub train_labels: Vec<u32>,
    /// Images to test on, `[m, 28, 28]`.
    pub test_images: ArrayD<u8>,
    /// The digit in each test image, `m` of them.
    pub test_labels: Vec<u32>,
}

/// The array in an IDX file of unsigned bytes, gzipped or not (told by its first bytes, not by its name), in the shape
/// that its header gives. A gzipped array may have up to 4 GiB; [`read_at_most`] sets another limit.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is not IDX, its elements are not unsigned
/// bytes, there are too many of them, it is shorter or longer than its header says, or its gzip stream is broken.
pub fn read(path: impl AsRef<Path>) -> Result<ArrayD<u8>> {
    read_at_most(path, MOST_UNPACKED)
}

/// Like [`read`], for gzipped arrays of up to `bytes` bytes, unpacked.
///
/// # Errors
/// See there.
pub fn read_at_most(path: impl AsRef<Path>, bytes: u64) -> Result<ArrayD<u8>> {
    let path = path.as_ref();
    let (file, _) = file::open(path)?;
    decode(BufReader::new(file), path, bytes)
}

/// The array in the bytes of an IDX file, gzipped or not; `name` is what errors call it.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], name: &Path) -> Result<ArrayD<u8>> {
    decode(bytes, name, MOST_UNPACKED)
}

/// The four MNIST files in the folder `dir`: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, each gzipped (`.gz`) or not, also with a dot before `idx`.
/// Every set that is published under these names with 28x28 images and at most ten classes can be read.
///
/// # Errors
/// [`Error::Io`] where a file is missing (naming the names that were looked for) or cannot be read; [`Error::Format`]
/// where [`read`] refuses a file, labels stand where images should (or the other way round), images are not 28x28, or a
/// label is above 9; [`Error::Data`] where a set has no images, or not one label for each.
pub fn mnist(dir: &Path) -> Result<Mnist> {
    // All four are looked for before the first is read: a missing one should not cost the reading of the others.
    let train = (find(dir, "train-images", 3)?, find(dir, "train-labels", 1)?);
    let test = (find(dir, "t10k-images", 3)?, find(dir, "t10k-labels", 1)?);
    let (train_images, train_labels) = pair(&train.0, &train.1)?;
    let (test_images, test_labels) = pair(&test.0, &test.1)?;
    Ok(Mnist { train_images, train_labels, test_images, test_labels })
}

/// The file in `dir` that has one of the four names under which `stem` with `rank` dimensions is published.
fn find(dir: &Path, stem: &str, rank: usize) -> Result<PathBuf> {
    let names = [
        format!("{stem}-idx{rank}-ubyte"),
        format!("{stem}-idx{rank}-ubyte.gz"),
        format!("{stem}.idx{rank}-ubyte"),
        format!("{stem}.idx{rank}-ubyte.gz"),
    ];
    names.iter().map(|name| dir.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        let message = if dir.is_dir() {
            format!("no {stem} file in this folder; looked for {}", names.join(", "))
        } else {
            format!("no such folder; looked in it for {}", names.join(", "))
        };
        Error::Io { path: dir.to_owned(), reason: io::Error::new(io::ErrorKind::NotFound, message) }
    })
}

/// Images and their labels, checked against each other.
fn pair(image_path: &Path, label_path: &Path) -> Result<(ArrayD<u8>, Vec<u32>)> {
    let images = read(image_path)?;
    if images.ndim() != 3 || images.shape()[1..] != [28, 28] {
        let kind = if images.ndim() == 1 { "labels (or another list)" } else { "an array" };
        return Err(refuse(image_path, "images [n, 28, 28]", format!("{kind} {:?}", images.shape())));
    }
    let labels = read(label_path)?;
    if labels.ndim() != 1 {
        let kind = if labels.ndim() == 3 { "images" } else { "an array" };
        return Err(refuse(label_path, "labels [n]", format!("{kind} {:?}", labels.shape())));
    }
    if let Some((index, label)) = labels.iter().enumerate().find(|(_, label)| **label > 9) {
        return Err(refuse(label_path, "labels 0 to 9", format!("{label} at index {index}")));
    }
    let count = images.len_of(Axis(0));
    if count == 0 {
        return Err(Error::data(image_path.display().to_string(), "at least one image", "none"));
    }
    if labels.len() != count {
        return Err(Error::data(
            label_path.display().to_string(),
            format!("{count} labels, one for each image in {}", image_path.display()),
            format!("{} labels", labels.len()),
        ));
    }
    Ok((images, labels.iter().map(|&label| u32::from(label)).collect()))
}

fn decode(mut reader: impl BufRead, name: &Path, most_bytes: u64) -> Result<ArrayD<u8>> {
    let mut head = Vec::with_capacity(2);
    reader.by_ref().take(2).read_to_end(&mut head).map_err(|reason| Error::Io { path: name.to_owned(), reason })?;
    let gzipped = head == [0x1f, 0x8b];
    let whole = io::Cursor::new(head).chain(reader);
    if gzipped {
        elements(&mut Content { reader: MultiGzDecoder::new(whole), gzipped, cut: false, name }, most_bytes)
    } else {
        elements(&mut Content { reader: whole, gzipped, cut: false, name }, most_bytes)
    }
}

/// The decompressed content of a file.
struct Content<'a, R> {
    reader: R,
    gzipped: bool,
    /// Whether the gzip stream turned out to end before its own end mark.
    cut: bool,
    name: &'a Path,
}

impl<R: Read> Content<'_, R> {
    /// The next bytes: `most` of them, or fewer where the content ends. Memory grows with what comes, never with `most`.
    fn next(&mut self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.reader.by_ref().take(most).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            // What came before the cut is kept, so that the caller can say how much it was.
            Err(e) if self.gzipped && e.kind() == io::ErrorKind::UnexpectedEof => {
                self.cut = true;
                Ok(bytes)
            }
            // flate2 reports damage as one of these kinds; all others come from the system.
            Err(e) if self.gzipped && matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Err(refuse(self.name, "a whole gzip stream", format!("a damaged one ({e})")))
            }
            Err(reason) => Err(Error::Io { path: self.name.to_owned(), reason }),
        }
    }
}

fn elements(content: &mut Content<'_, impl Read>, most_bytes: u64) -> Result<ArrayD<u8>> {
    let name = content.name;
    let magic = content.next(4)?;
    let &[0, 0, kind, rank] = magic.as_slice() else {
        let actual = if magic.len() < 4 { format!("{} bytes in all", magic.len()) } else { hex(&magic) };
        return Err(refuse(name, "an IDX file, which begins 00 00 08 and its number of dimensions", actual));
    };
    if kind != 0x08 {
        let actual = match kind {
            0x09 => "signed bytes",
            0x0B => "16-bit integers",
            0x0C => "32-bit integers",
            0x0D => "32-bit floats",
            0x0E => "64-bit floats",
            _ => "no type that IDX knows",
        };
        return Err(refuse(name, "unsigned bytes (type 0x08)", format!("{actual} (type 0x{kind:02X})")));
    }
    if rank == 0 {
        return Err(refuse(name, "at least 1 dimension", "0 dimensions"));
    }

    let rank = usize::from(rank);
    let header = content.next(4 * rank as u64)?;
    if header.len() < 4 * rank {
        let expected = format!("{} bytes of header for {rank} dimensions", 4 + 4 * rank);
        return Err(refuse(name, expected, format!("{} bytes, then the end", 4 + header.len())));
    }
    let (words, _) = header.as_chunks::<4>();
    let shape: Vec<usize> = words.iter().map(|&word| u32::from_be_bytes(word) as usize).collect();
    // Zeros are left out of this product because ndarray leaves them out of its own when it checks a shape.
    let fits = shape.iter().filter(|&&d| d != 0).try_fold(1_usize, |n, &d| n.checked_mul(d));
    if fits.is_none_or(|n| n > isize::MAX as usize) {
        return Err(refuse(name, "dimensions whose product can be addressed", format!("{shape:?}")));
    }

    let count: usize = shape.iter().product();
    // What is not compressed takes as much room in its file.
    if content.gzipped && count as u64 > most_bytes {
        let expected = format!("at most {most_bytes} bytes of elements (idx::read_at_most)");
        return Err(refuse(name, expected, format!("{count} for {shape:?}")));
    }
    // One byte more than belongs here, to see whether the content ends where it should; in a gzip stream, reading up to
    // the end is also what checks its checksum.
    let mut bytes = content.next(count as u64 + 1)?;
    let expected = || format!("{count} bytes of elements for {shape:?}");
    if bytes.len() > count {
        return Err(refuse(name, expected(), "more bytes after them"));
    }
    if bytes.len() < count {
        return Err(refuse(name, expected(), format!("{} bytes, then the end", bytes.len())));
    }
    if content.cut {
        return Err(refuse(name, "a whole gzip stream", "one that ends before its checksum"));
    }
    // Growing by doubling may have left as much again unused, and data sets stay in memory.
    bytes.shrink_to_fit();
    ArrayD::from_shape_vec(IxDyn(&shape), bytes).map_err(|e| refuse(name, expected(), e.to_string()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(" ")
}

fn refuse(path: &Path, expected: impl Into<String>, actual: impl Into<String>) -> Error {
    Error::Format { path: path.to_owned(), expected: expected.into(), actual: actual.into() }
}

#[cfg(test)]
#[path = "../../../tests/common/skip.rs"]
mod skip;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A folder of its own for each test, gone when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let name = format!("galen-idx-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        }

        /// Four right files: `n` blank images to train on and two to test on, and labels that count from 0 modulo 10.
        fn mnist(n: u32) -> Self {
            let folder = Folder::new();
            for (set, n) in [("train", n), ("t10k", 2)] {
                folder.put(&format!("{set}-images-idx3-ubyte"), &idx(&[n, 28, 28], &vec![7; n as usize * 784]));
                let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
                folder.put(&format!("{set}-labels-idx1-ubyte.gz"), &gzip(&idx(&[n], &labels)));
            }
            folder
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn idx(shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|d| d.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The message with which `bytes` are refused; they must be refused as badly formed.
    fn refusal(bytes: &[u8]) -> String {
        let error = parse(bytes, Path::new("file")).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn shape_and_order_are_those_of_the_file() {
        let bytes = idx(&[2, 1, 3], &[1, 2, 3, 4, 5, 255]);
        let folder = Folder::new();
        // The names lie about compression on purpose: content decides.
        for path in [folder.put("plain.gz", &bytes), folder.put("packed", &gzip(&bytes))] {
            let array = read(&path).unwrap();
            assert_eq!(array.shape(), [2, 1, 3]);
            assert_eq!(array[[1, 0, 2]], 255);
            assert_eq!(array[[0, 0, 1]], 2);
        }
        assert_eq!(parse(&idx(&[0], &[]), Path::new("empty")).unwrap().shape(), [0]);
        // gzip files may be concatenated, and then mean the concatenation.
        let (a, b) = bytes.split_at(9);
        assert_eq!(parse(&[gzip(a), gzip(b)].concat(), Path::new("two members")).unwrap().len(), 6);
    }

    #[test]
    fn every_truncation_is_refused() {
        let bytes = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let packed = gzip(&bytes);
        for whole in [&bytes, &packed] {
            for length in 0..whole.len() {
                refusal(&whole[..length]);
            }
        }
        assert!(refusal(&bytes[..15]).contains("expected 6 bytes of elements for [2, 3], got 3 bytes, then the end"));
        assert!(refusal(&bytes[..9]).contains("expected 12 bytes of header for 2 dimensions, got 9 bytes"));
        assert!(refusal(&packed[..packed.len() - 1]).contains("ends before its checksum"));
    }

    #[test]
    fn garbage_is_refused() {
        assert!(refusal(b"PK\x03\x04 something").contains("got 50 4B 03 04"));
        assert!(refusal(b"").contains("got 0 bytes in all"));
        assert!(refusal(&[0, 0, 0x0D, 1, 0, 0, 0, 1, 0, 0, 0, 0]).contains("32-bit floats (type 0x0D)"));
        assert!(refusal(&[0, 0, 0x42, 1]).contains("no type that IDX knows (type 0x42)"));
        assert!(refusal(&[0, 0, 8, 0, 9]).contains("0 dimensions"));
        assert!(refusal(&idx(&[2], &[1, 2, 3])).contains("more bytes after them"));
        assert!(refusal(&gzip(&idx(&[2], &[1, 2, 3]))).contains("more bytes after them"));
        let mut damaged = gzip(&idx(&[4], &[1, 2, 3, 4]));
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(refusal(&damaged).contains("a whole gzip stream"));
    }

    #[test]
    fn a_header_claims_and_gets_nothing() {
        // 4 GiB to 255 dimensions of them, in files of a few bytes: refused, and quickly, because nothing is allocated.
        let most = u32::MAX;
        assert!(refusal(&idx(&[most], &[1, 2])).contains("expected 4294967295 bytes"));
        assert!(refusal(&gzip(&idx(&[most], &[1, 2]))).contains("got 2 bytes"));
        assert!(refusal(&gzip(&idx(&[most, 2], &[1, 2]))).contains("at most 4294967296 bytes of elements"));
        let few = decode(&gzip(&idx(&[3], &[1, 2, 3]))[..], Path::new("few"), 2).unwrap_err().to_string();
        assert!(few.contains("at most 2 bytes of elements (idx::read_at_most), got 3"), "{few}");
        assert!(refusal(&idx(&[most, most, most], &[])).contains("can be addressed"));
        assert!(refusal(&idx(&[most, most, most, 0], &[])).contains("can be addressed"));
        assert!(refusal(&idx(&[most; 255], &[])).contains("can be addressed"));
        // A gzip stream that unpacks to far more than its header claims is read no further than the claim.
        let bomb = gzip(&idx(&[1], &vec![0; 50_000_000]));
        assert!(refusal(&bomb).contains("more bytes after them"));
    }

    #[test]
    fn the_four_files_are_found_under_their_names() {
        let folder = Folder::mnist(12);
        let data = mnist(&folder.0).unwrap();
        assert_eq!(data.train_images.shape(), [12, 28, 28]);
        assert_eq!(data.train_labels[9..], [9, 0, 1]);
        assert_eq!((data.test_images.len(), data.test_labels), (2 * 784, vec![0, 1]));
        let name = |name: &str| folder.0.join(name);
        std::fs::rename(name("train-images-idx3-ubyte"), name("train-images.idx3-ubyte")).unwrap();
        std::fs::rename(name("t10k-labels-idx1-ubyte.gz"), name("t10k-labels.idx1-ubyte.gz")).unwrap();
        assert_eq!(mnist(&folder.0).unwrap().train_images, data.train_images);
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = Folder::mnist(3);
        std::fs::remove_file(folder.0.join("t10k-labels-idx1-ubyte.gz")).unwrap();
        let message = mnist(&folder.0).unwrap_err().to_string();
        for name in ["t10k-labels-idx1-ubyte,", "t10k-labels-idx1-ubyte.gz", "t10k-labels.idx1-ubyte"] {
            assert!(message.contains(name), "{message}");
        }
        let message = mnist(&folder.0.join("nowhere")).unwrap_err().to_string();
        assert!(message.contains("nowhere: no such folder"), "{message}");
        assert!(matches!(read(folder.0.join("nothing")), Err(Error::Io { .. })));
        assert!(matches!(read(&folder.0), Err(Error::Io { .. })));
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let refused = |file: &str, shape: &[u32], fill: u8, expected: &str| {
            let folder = Folder::mnist(3);
            let count = shape.iter().product::<u32>() as usize;
            folder.put(file, &idx(shape, &vec![fill; count]));
            let error = mnist(&folder.0).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains(expected), "{error}");
        };
        refused("train-images-idx3-ubyte", &[3], 0, "expected images [n, 28, 28], got labels (or another list) [3]");
        refused("train-images-idx3-ubyte", &[3, 28, 27], 0, "got an array [3, 28, 27]");
        refused("train-images-idx3-ubyte", &[0, 28, 28], 0, "expected at least one image, got none");
        refused("train-labels-idx1-ubyte", &[3, 28, 28], 0, "expected labels [n], got images [3, 28, 28]");
        refused("train-labels-idx1-ubyte", &[4], 0, "expected 3 labels");
        refused("t10k-labels-idx1-ubyte", &[2], 10, "expected labels 0 to 9, got 10 at index 0");
    }

    #[test]
    fn the_published_files_are_read() {
        let Some(data) = skip::data("the_published_files_are_read", "mnist") else { return };
        let data = mnist(&data.join("mnist")).unwrap();
        assert_eq!(data.train_images.shape(), [60_000, 28, 28]);
        assert_eq!(data.test_images.shape(), [10_000, 28, 28]);
        // Known of the set: how often each digit occurs, the first labels, the mean that everybody normalises with.
        let mut counts = [0; 10];
        data.train_labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
        assert_eq!(data.train_labels[..5], [5, 0, 4, 1, 9]);
        assert_eq!(data.test_labels[..5], [7, 2, 1, 0, 4]);
        let sum: u64 = data.train_images.iter().map(|&pixel| u64::from(pixel)).sum();
        let mean = sum as f64 / data.train_images.len() as f64 / 255.0;
        assert!((mean - 0.1307).abs() < 5e-5, "{mean}");
    }
}
