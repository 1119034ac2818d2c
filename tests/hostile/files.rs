//! Things that are no regular files, in the place of every file that is read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use galen::data::formats::csv::Csv;
use galen::data::formats::images::{self, ImageOptions, Masks, image_folder, image_mask_folders};
use galen::data::formats::npz::Npz;
use galen::data::formats::{arff, idx, npy};
use galen::interop::safetensors::Archive;
use galen::prelude::*;
use galen::train::SavedModel;
use galen::{Error, Result, Tensor};

/// A way to read a file.
type Read = fn(&Path) -> Result<()>;

/// Every way to read a file, and whether it reads from the beginning to the end.
const READERS: [(&str, bool, Read); 10] = [
    ("csv", true, |path| Csv::new().read(path).map(drop)),
    ("arff", true, |path| arff::read(path).map(drop)),
    ("idx", false, |path| idx::read(path).map(drop)),
    ("npy", false, |path| npy::read(path).map(drop)),
    ("npy rows", false, |path| npy::rows(path).map(drop)),
    ("npz", false, |path| Npz::open(path).map(drop)),
    ("image", true, |path| images::read(path, &ImageOptions::new()).map(drop)),
    ("safetensors", true, |path| Archive::open(path).map(drop)),
    ("saved model", true, |path| SavedModel::read(path).map(drop)),
    ("model", true, |path| Model::open(path, &Setup::on(&Device::cpu_with_threads(1)?)).map(drop)),
];

/// What `read` says, in a moment.
fn refusal(what: &str, path: &Path, read: Read) -> String {
    let begun = Instant::now();
    let error = read(path).expect_err(what);
    assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
    assert!(matches!(error, Error::Io { .. } | Error::Format { .. }), "{what}: {error:?}");
    error.to_string()
}

#[cfg(unix)]
fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_folders_are_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let named = folder.path().join("x.png");
    pipe(&named);
    let circle = folder.path().join("circle");
    std::os::unix::fs::symlink(&circle, &circle).expect("a link");
    let to_zero = folder.path().join("to zero");
    std::os::unix::fs::symlink("/dev/zero", &to_zero).expect("a link");
    let places: [(&Path, &str); 6] = [
        (&named, "expected a regular file, got a pipe"),
        (Path::new("/dev/zero"), "expected a regular file, got a device"),
        (&to_zero, "expected a regular file, got a device"),
        (folder.path(), "directory"),
        (&circle, "symbolic links"),
        (Path::new("/nowhere/at/all"), "No such file"),
    ];
    for (path, expected) in places {
        for (name, _, read) in READERS {
            let message = refusal(name, path, read);
            assert!(message.contains(expected), "{name}: {message}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_folder_of_images_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let class = folder.path().join("benign");
    std::fs::create_dir(&class).expect("a folder");
    pipe(&class.join("x.png"));
    let begun = Instant::now();
    let error = image_folder(folder.path(), &ImageOptions::new()).expect_err("a pipe").to_string();
    assert!(error.contains("x.png") && error.contains("got a pipe"), "{error}");
    let error = image_mask_folders(&class, &class, &ImageOptions::new(), &Masks::binary()).expect_err("a pipe");
    assert!(error.to_string().contains("x.png"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Reads a table from the pipe in the folder.
pub fn read_pipe(folder: &Path) -> Result<String> {
    Csv::new().read(folder.join("pipe")).map(|table| format!("{} rows", table.rows()))
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_where_a_user_means_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pipe");
    pipe(&path);
    let program = std::env::current_exe().expect("this program");
    let child = std::process::Command::new(program)
        .args(["--exact", "children::child", "--ignored", "--nocapture"])
        .envs([("GALEN_HOSTILE_PART", "pipe".as_ref()), ("GALEN_HOSTILE_FOLDER", folder.path().as_os_str())])
        .env("GALEN_READ_PIPES", "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("a child");
    std::fs::write(&path, "a,b\n1,2\n3,4\n").expect("a reader");
    assert_eq!(super::children::outcome(&super::children::wait(child)), "2 rows");
}

/// One whole file of each kind.
fn whole(folder: &Path) -> Vec<(usize, PathBuf)> {
    let mut files = Vec::new();
    let mut add = |reader: usize, name: &str, write: &dyn Fn(&Path)| {
        let path = folder.join(name);
        write(&path);
        files.push((reader, path));
    };
    let plain = |text: &'static [u8]| move |path: &Path| std::fs::write(path, text).expect("a file");
    add(0, "a.csv", &plain(b"age,sex,\"a, b\"\n40,f,1\n51,m,2\n62,f,3\n"));
    add(1, "a.arff", &plain(b"@relation r\n@attribute a numeric\n@attribute b {x,y}\n@data\n1,x\n2,y\n{0 3}\n"));
    add(2, "a.idx", &plain(&[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]));
    let array = || ndarray::Array2::from_shape_fn((5, 3), |(i, j)| (i * 3 + j) as f32);
    add(3, "a.npy", &|path| npy::write(path, array()).expect("a file"));
    add(4, "b.npy", &|path| npy::write(path, array()).expect("a file"));
    add(5, "a.npz", &|path| galen::data::formats::npz::write(path, [("x", array().into())]).expect("a file"));
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/files/images");
    for name in ["rgb.png", "grey16.png", "rgb.jpg", "rgb.tiff"] {
        add(6, name, &|path| assert!(std::fs::copy(images.join(name), path).is_ok()));
    }
    let model = |path: &Path| {
        let setup = Setup::on(&Device::cpu_with_threads(1).expect("a processor"));
        let network = Sequential::new([1, 8, 8]).with(Conv2d::new(2, [3, 3])).with(Flatten).with(Dense::new(2));
        let mut model = network.compile_on(&setup, Sgd::new(0.1), MeanSquaredError, &[]).expect("a model");
        model.save(path).expect("a file");
    };
    add(7, "a.safetensors", &model);
    add(9, "a.model", &model);
    files
}

/// Every fiftieth place of a file, and all of the first and last ones.
fn places(length: usize) -> impl Iterator<Item = usize> {
    (0..length).filter(move |at| at % 50 == 0 || *at < 64 || at + 16 > length)
}

/// Files that end early, and files with a bit that was turned: data or an error, and nothing else. What a checksum protects is refused.
#[test]
fn files_that_end_early_or_have_a_turned_bit_are_data_or_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tried, mut refused) = (0, 0);
    for (reader, path) in whole(folder.path()) {
        let (name, _, read) = READERS[reader];
        let bytes = std::fs::read(&path).expect("the file");
        assert!(read(&path).is_ok(), "{name}");
        let content = |path: &Path| -> Vec<(String, Tensor)> {
            let archive = Archive::open(path).expect("a whole file");
            archive.tensors().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect()
        };
        let expected = (reader == 7).then(|| content(&path));
        let mut attempt = |bytes: &[u8], must_fail: bool, what: String| {
            std::fs::write(&path, bytes).expect("the file");
            let result = read(&path);
            tried += 1;
            refused += usize::from(result.is_err());
            assert!(result.is_err() || !must_fail, "{name}: {what}");
            // A bit in the name of the checksum, which is then none, and nothing else.
            if let (Ok(()), Some(expected)) = (&result, &expected) {
                assert!(content(&path) == *expected, "{name}: {what}");
            }
        };
        // Of a text every part is a text.
        let is_text = matches!(reader, 0 | 1);
        for at in places(bytes.len()) {
            attempt(&bytes[..at], !is_text && reader != 5, format!("cut at {at}"));
            let mut turned = bytes.clone();
            turned[at] ^= 1 << (at % 8);
            attempt(&turned, reader == 9, format!("a bit at {at}"));
        }
    }
    println!("{tried} damaged files, {refused} refused");
    assert!(tried > 1000 && refused > tried / 2, "{refused} of {tried}");
}
