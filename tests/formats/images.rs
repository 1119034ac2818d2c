use std::io::Write;
use std::path::Path;
use std::time::Instant;

use galen::data::formats::images::{self, ImageOptions, Masks, image_folder, image_folder_as, image_mask_folders};
use galen::data::{RowMut, Rows};
use galen::prelude::*;
use galen::{DType, Elements, Error, Tensor, TensorSpec};
use serde_json::Value;

use super::{Folder, data, decode, file, refused};

/// What Pillow saw (`make.py`), row by row.
pub fn seen(name: &str) -> Vec<u32> {
    fn flat(value: &Value, out: &mut Vec<u32>) {
        match value {
            Value::Array(values) => values.iter().for_each(|v| flat(v, out)),
            other => out.push(other.as_u64().unwrap() as u32),
        }
    }
    let all: Value = serde_json::from_slice(&std::fs::read(file("images.json")).unwrap()).unwrap();
    let mut out = Vec::new();
    flat(&all[name], &mut out);
    out
}

fn read(name: &str, options: &ImageOptions) -> Tensor {
    images::read(file("images").join(name), options).unwrap()
}

/// An image `[channels, height, width]` of bytes, with the channels of a pixel side by side as Pillow has them.
fn pixels(tensor: &Tensor) -> Vec<u32> {
    let (Elements::U8(x), plane) = (tensor.elements(), tensor.shape()[1] * tensor.shape()[2]) else {
        panic!("no bytes")
    };
    (0..plane).flat_map(|i| x.iter().skip(i).step_by(plane)).map(|v| u32::from(*v)).collect()
}

#[test]
fn every_format_gives_the_pixels_that_pillow_gives() {
    let plain = ImageOptions::new();
    for name in ["rgb.png", "rgb.tiff"] {
        let image = read(name, &plain);
        assert_eq!((image.spec(), pixels(&image)), (TensorSpec::new([3, 7, 9], DType::U8), seen("rgb")), "{name}");
    }
    assert_eq!(pixels(&read("grey.png", &plain)), seen("grey"));
    // Two decoders of JPEG round differently, but no more than that.
    let jpeg = pixels(&read("rgb.jpg", &plain));
    let apart = jpeg.iter().zip(seen("jpeg")).map(|(a, b)| a.abs_diff(b)).max();
    assert!(apart <= Some(4), "{apart:?}");
    assert_eq!(read("progressive.jpg", &plain).shape(), [3, 7, 9]);
    assert_eq!(read("grey.jpg", &plain).shape(), [1, 7, 9]);
}

#[test]
fn sixteen_bits_become_floats_and_lose_nothing() {
    for name in ["grey16.png", "grey16.tiff"] {
        let Tensor::F32(image) = read(name, &ImageOptions::new()) else { panic!("{name}: no floats") };
        let values: Vec<u32> = image.iter().map(|v| (v * 65535.0).round() as u32).collect();
        assert_eq!((image.shape(), values), (&[1, 7, 9][..], seen("grey16")), "{name}");
    }
    let Tensor::F32(eight) = read("grey.png", &ImageOptions::new().floats()) else { panic!("no floats") };
    assert_eq!(eight.iter().map(|v| (v * 255.0).round() as u32).collect::<Vec<_>>(), seen("grey"));
}

#[test]
fn channels_are_as_asked_for() {
    let (plain, grey, rgb) = (ImageOptions::new(), ImageOptions::new().grey(), ImageOptions::new().rgb());
    assert_eq!(pixels(&read("rgb.png", &grey)), seen("luma"));
    assert_eq!(pixels(&read("rgba.png", &grey)), seen("luma"));
    assert_eq!(pixels(&read("rgba.png", &rgb)), seen("rgb"));
    let alpha: Vec<u32> = pixels(&read("rgba.png", &plain)).iter().skip(3).step_by(4).copied().collect();
    assert_eq!(alpha, seen("alpha"));
    let repeated: Vec<u32> = seen("grey").into_iter().flat_map(|v| [v; 3]).collect();
    assert_eq!(pixels(&read("grey.png", &rgb)), repeated);
    // The palette of three colours, looked up: white, dark blue, red.
    let colours: Vec<u32> =
        seen("labels").into_iter().flat_map(|l| [[255, 255, 255], [10, 20, 30], [200, 0, 0]][l as usize]).collect();
    assert_eq!(pixels(&read("palette.png", &plain)), colours);
    assert_eq!(pixels(&read("palette2bit.png", &plain)), colours);
}

#[test]
fn resizing_is_pillows_to_the_rounding() {
    for (name, height, width) in [("wave_small", 10, 12), ("wave_large", 64, 50)] {
        let resized = pixels(&read("wave.png", &ImageOptions::new().resize(height, width)));
        let expected = seen(name);
        assert_eq!(resized.len(), expected.len());
        let apart = resized.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(1), "{name}: {apart:?}");
    }
    let deep = read("grey16.png", &ImageOptions::new().resize(7, 9));
    assert_eq!(deep, read("grey16.png", &ImageOptions::new()), "its own size leaves an image as it is");
    let cut = read("rgb.png", &ImageOptions::new().crop_pad(3, 11));
    assert_eq!(cut.shape(), [3, 3, 11]);
    let middle = &pixels(&cut)[..33];
    assert_eq!((&middle[..3], &middle[3..30]), (&[0; 3][..], &seen("rgb")[2 * 27..3 * 27]));
    let wrong = images::read(file("images/rgb.png"), &ImageOptions::new().resize(0, 5));
    refused(wrong, &["height and width", "0x5"]);
}

#[test]
fn every_truncation_is_refused() {
    for name in ["rgb.png", "grey16.png", "rgb.jpg", "progressive.jpg", "mask.jpg", "rgb.tiff", "grey16.tiff"] {
        let whole = std::fs::read(file("images").join(name)).unwrap();
        for length in 0..whole.len() {
            let cut = images::parse(&whole[..length], Path::new(name), &ImageOptions::new());
            // Pillow's TIFFs end with a tag that may be missing.
            if let (true, Ok(pixels)) = (name.ends_with("tiff"), &cut) {
                assert_eq!(pixels, &read(name, &ImageOptions::new()), "{name} cut to {length} has other pixels");
                continue;
            }
            let error = cut.unwrap_err();
            assert!(matches!(&error, Error::Format { path, .. } if path == Path::new(name)), "{length}: {error:?}");
        }
    }
}

#[test]
fn damage_is_an_error_or_another_image_but_never_a_panic() {
    for name in ["rgb.png", "palette.png", "rgb.jpg", "progressive.jpg", "rgb.tiff", "grey16.tiff"] {
        let whole = std::fs::read(file("images").join(name)).unwrap();
        for at in 0..whole.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut damaged = whole.clone();
                damaged[at] ^= bit;
                let _ = images::parse(&damaged, Path::new(name), &ImageOptions::new().rgb());
            }
        }
    }
}

#[test]
fn a_header_claims_and_gets_nothing() {
    // A PNG of few bytes that claims pixels: the width stands at byte 16, the checksum of the header at 29.
    let claim = |width: u32, height: u32| {
        let mut bytes = std::fs::read(file("images/grey.png")).unwrap();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        images::parse(&bytes, Path::new("claim.png"), &ImageOptions::new())
    };
    let start = Instant::now();
    refused(claim(20_000, 20_000), &["claim.png", "20000x20000", "too few for any compression"]);
    refused(claim(50_000, 50_000), &["claim.png", "at most 536870912 bytes"]);
    refused(claim(0x7fff_ffff, 0x7fff_ffff), &["claim.png"]);
    assert!(start.elapsed().as_secs_f64() < 1.0, "something was allocated");
    let small = images::read(file("images/rgb.png"), &ImageOptions::new().most_bytes(100));
    refused(small, &["rgb.png", "at most 100 bytes", "189 for 7x9"]);
}

/// A PNG of zeros with this height and width, bits per pixel and kind of colours (0: grey, 3: a palette).
fn zeros(height: usize, width: usize, bits: u8, kind: u8, palette: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8; 4], content: &[u8]| {
        bytes.extend((content.len() as u32).to_be_bytes());
        let from = bytes.len();
        bytes.extend(name);
        bytes.extend(content);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[from..]);
        bytes.extend(crc.sum().to_be_bytes());
    };
    let [down, across] = [height, width].map(|n| (n as u32).to_be_bytes());
    chunk(b"IHDR", &[&across[..], &down, &[bits, kind, 0, 0, 0]].concat());
    if !palette.is_empty() {
        chunk(b"PLTE", palette);
        chunk(b"tRNS", &[255]);
    }
    let mut pixels = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    pixels.write_all(&vec![0; height * (1 + width * usize::from(bits) / 8)]).unwrap();
    chunk(b"IDAT", &pixels.finish().unwrap());
    chunk(b"IEND", &[]);
    bytes
}

#[test]
fn an_empty_mask_of_one_bit_per_pixel_is_read_however_small_its_file() {
    let (plain, name) = (ImageOptions::new(), Path::new("mask.png"));
    let file = zeros(1024, 1024, 1, 0, &[]);
    assert!(file.len() < 400, "{} bytes: compressed as much as can be", file.len());
    let mask = images::parse_mask(&file, name, &plain, &Masks::binary()).unwrap();
    assert_eq!(mask.shape().iter().product::<usize>(), 1024 * 1024);
    assert_eq!(images::parse(&file, name, &plain).unwrap(), Tensor::u8([1, 1024, 1024], vec![0; 1 << 20]).unwrap());
    let palette = images::parse(&zeros(1024, 1024, 1, 3, &[9, 9, 9, 0, 0, 0]), name, &plain).unwrap();
    assert_eq!(palette.shape(), [4, 1024, 1024], "colours of a palette, and alpha");
}

#[test]
fn what_is_no_image_is_refused() {
    let parse = |bytes: &[u8]| images::parse(bytes, Path::new("x.png"), &ImageOptions::new());
    refused(parse(b""), &["x.png", "PNG, JPEG or TIFF"]);
    refused(parse(b"some text that is no image at all"), &["x.png", "PNG, JPEG or TIFF"]);
    refused(parse(b"GIF89a and so on and so on"), &["x.png", "a GIF image"]);
    assert!(matches!(images::read(file("none.png"), &ImageOptions::new()), Err(Error::Io { .. })));
}

/// A folder with the classes `b` (two images) and `a` (one), and what is passed over.
fn classes() -> Folder {
    let folder = Folder::new();
    let copy = |name: &str, to: &str| drop(folder.put(to, &std::fs::read(file("images").join(name)).unwrap()));
    copy("rgb.png", "b/2.png");
    copy("rgb.tiff", "b/10.TIFF");
    copy("rgb.jpg", "a/x.jpeg");
    folder.put("a/.hidden.png", b"no image");
    folder.put("a/notes.txt", b"passed over");
    folder.put(".git/x.png", b"passed over");
    folder.put("split.csv", b"passed over");
    folder
}

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let folder = classes();
    let found = image_folder(&folder.0, &ImageOptions::new()).unwrap();
    assert_eq!((found.classes(), found.labels()), (&["a".to_owned(), "b".to_owned()][..], &[0, 1, 1][..]));
    assert_eq!(found.names(), ["x.jpeg", "10.TIFF", "2.png"]);
    assert_eq!((found.images().len(), found.images().sample()), (3, TensorSpec::new([3, 7, 9], DType::U8)));
    let all = decode(found.images().clone()).unwrap();
    let Elements::U8(bytes) = all.elements() else { panic!("no bytes") };
    let one = read("rgb.png", &ImageOptions::new());
    assert_eq!((&bytes[189..378], &bytes[378..]), (&bytes[378..], one_bytes(&one)));
    let data = found.dataset().unwrap();
    assert_eq!((data.len(), data.classes()), (3, Some(vec![0, 1, 1])));
    assert!(!format!("{found:?} {data:?}").contains("galen-formats"), "a path in what may be logged");
}

#[test]
fn images_to_test_on_have_the_labels_of_the_training() {
    let (folder, plain) = (classes(), ImageOptions::new());
    std::fs::remove_dir_all(folder.0.join("a")).unwrap();
    let alone = image_folder(&folder.0, &plain).unwrap();
    assert_eq!(alone.labels(), [0, 0], "by itself the folder knows one class");
    let found = image_folder_as(&folder.0, &["a", "b", "c"], &plain).unwrap();
    assert_eq!((found.classes().len(), found.labels(), found.names()), (3, &[1, 1][..], alone.names()));
    // The order is that of the classes, not of the names.
    let found = image_folder_as(&classes().0, &["b", "a"], &plain).unwrap();
    assert_eq!(
        (found.labels(), found.names()),
        (&[0, 0, 1][..], &["10.TIFF", "2.png", "x.jpeg"].map(String::from)[..])
    );
    refused(image_folder_as(&folder.0, &["a", "c"], &plain), &["/b", "[\"a\", \"c\"]"]);
    assert!(matches!(image_folder_as(&folder.0, &["b", "b"], &plain), Err(Error::Data { .. })));
    refused(image_folder_as(&Folder::new().0, &["a"], &plain), &["no sub-folder"]);
}

fn one_bytes(tensor: &Tensor) -> &[u8] {
    match tensor.elements() {
        Elements::U8(x) => x,
        _ => panic!("no bytes"),
    }
}

#[test]
fn the_first_image_that_differs_is_named() {
    let put = |name: &str| {
        let folder = classes();
        folder.put("b/3.png", &std::fs::read(file("images").join(name)).unwrap());
        folder
    };
    let opened = |folder: &Folder, options: &ImageOptions| image_folder(&folder.0, options);
    let (plain, rgb) = (ImageOptions::new(), ImageOptions::new().rgb());
    let wave = put("wave.png");
    refused(
        opened(&wave, &plain),
        &["3.png", "7x9 pixels, 3 channels, bytes, as x.jpeg", "40x30 pixels", "resize or crop_pad"],
    );
    assert_eq!(opened(&wave, &rgb.clone().resize(5, 6)).unwrap().images().sample().shape[..], [3, 5, 6]);
    assert_eq!(opened(&wave, &rgb.clone().crop_pad(5, 6)).unwrap().images().sample().shape[..], [3, 5, 6]);
    let grey = put("grey.png");
    refused(opened(&grey, &plain), &["3.png", "1 channels", "grey or rgb"]);
    decode(opened(&grey, &rgb).unwrap().images().clone()).unwrap();
    let deep = put("grey16.png");
    refused(opened(&deep, &rgb), &["3.png", "16 bits", "floats"]);
    decode(opened(&deep, &rgb.floats()).unwrap().images().clone()).unwrap();
}

#[test]
fn folders_that_are_not_as_they_should_be_are_refused_by_name() {
    let opened = |folder: &Folder| image_folder(&folder.0, &ImageOptions::new());
    let folder = Folder::new();
    refused(opened(&folder), &["a sub-folder of images for each class", "no sub-folder"]);
    assert!(matches!(image_folder(folder.0.join("no"), &ImageOptions::new()), Err(Error::Io { .. })));
    std::fs::create_dir(folder.0.join("empty")).unwrap();
    refused(opened(&folder), &["empty", "at least one PNG, JPEG or TIFF image", "none"]);
    let folder = classes();
    folder.put("a/y.bmp", b"BM");
    refused(opened(&folder), &["y.bmp", "PNG, JPEG or TIFF", ".bmp"]);
    let folder = classes();
    folder.put("a/deeper/y.png", b"x");
    refused(opened(&folder), &["deeper", "a folder"]);
    let folder = classes();
    folder.put("b/broken.png", b"no image");
    refused(opened(&folder), &["broken.png", "PNG, JPEG or TIFF"]);
    // A header that is right, and pixels that are not: noticed when the image is wanted.
    let folder = classes();
    let whole = std::fs::read(file("images/rgb.png")).unwrap();
    folder.put("b/cut.png", &whole[..whole.len() - 20]);
    refused(decode(opened(&folder).unwrap().images().clone()), &["cut.png", "ends before its end mark"]);
    // Another image than was listed.
    let folder = classes();
    let found = opened(&folder).unwrap();
    folder.put("b/2.png", &std::fs::read(file("images/wave.png")).unwrap());
    refused(found.images().read(2, RowMut::U8(&mut [0; 189])), &["2.png", "as when it was listed"]);
    refused(found.images().read(3, RowMut::U8(&mut [0; 189])), &["numbers below 3", "3"]);
    refused(found.images().read(0, RowMut::F32(&mut [0.0; 189])), &["x.jpeg", "u8", "f32"]);
}

#[test]
fn an_image_that_cannot_be_read_stops_the_training_and_is_named() {
    let folder = classes();
    let whole = std::fs::read(file("images/rgb.tiff")).unwrap();
    let mut damaged = whole.clone();
    // LZW codes, which begin behind the header.
    damaged[8..40].fill(0xff);
    folder.put("b/damaged.tiff", &damaged);
    let data = image_folder(&folder.0, &ImageOptions::new()).unwrap().dataset().unwrap();
    for budget in [None, Some(60_000)] {
        let network = Sequential::new([3, 7, 9]).with(Flatten).with(Dense::new(2));
        let setup = Setup::on(&Device::cpu().unwrap()).memory_budget(budget);
        let loss = CategoricalCrossEntropy::new().from_logits();
        let mut model = network.compile_on(&setup, Adam::new(0.01), loss, &[]).unwrap();
        refused(model.fit(&data, &Fit::new().batch_size(1).verbose(false)), &["damaged.tiff", "Lzw data"]);
        refused(model.predict_dataset(&data), &["damaged.tiff", "Lzw data"]);
    }
}

#[test]
fn turned_images_are_one_size_with_their_masks_when_they_stand_upright() {
    let folder = Folder::new();
    // The orientation of a camera held upright, in the APP1 segment of a JPEG.
    let exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let flat = std::fs::read(file("images/rgb.jpg")).unwrap();
    let held: Vec<u8> = [&flat[..2], exif, &flat[2..]].concat();
    folder.put("images/1.jpg", &held);
    folder.put("masks/1.png", &std::fs::read(file("images/wave.png")).unwrap());
    let open = |options: &ImageOptions| {
        image_mask_folders(folder.0.join("images"), folder.0.join("masks"), options, &Masks::above(0))
    };
    let plain = ImageOptions::new();
    refused(open(&plain), &["1.jpg", "EXIF orientation 6", "ImageOptions::upright", "as_stored"]);
    refused(open(&plain.clone().as_stored()), &["1.png", "7x9 pixels, as its image"]);
    refused(open(&plain.clone().upright()), &["1.png", "9x7 pixels, as its image"]);
    let parse = |options: &ImageOptions| images::parse(&held, Path::new("1.jpg"), options).unwrap();
    let (upright, stored) = (parse(&plain.clone().upright()), parse(&plain.as_stored()));
    assert_eq!((upright.shape(), stored.shape()), (&[3, 9, 7][..], &[3, 7, 9][..]));
    let (up, flat) = (pixels(&upright), pixels(&stored));
    // A quarter to the right: the first line is the first column, from below.
    let first: Vec<u32> = (0..7).rev().flat_map(|y| flat[y * 27..y * 27 + 3].to_vec()).collect();
    assert_eq!(up[..21], first[..]);
    folder.put("masks/1.png", &zeros(9, 7, 8, 0, &[]));
    assert_eq!(open(&ImageOptions::new().upright()).unwrap().images().sample().shape[..], [3, 9, 7]);
}

/// Names of bytes that are no UTF-8 are one name as text: the mask of another patient would be taken, and two classes become one.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_are_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let put = |folder: &Folder, bytes: &[u8], content: &str| {
        let path = folder.0.join(OsStr::from_bytes(bytes));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(file("images").join(content), path).unwrap();
    };
    let (pairs, classes) = (Folder::new(), Folder::new());
    put(&pairs, b"images/scan_\xfc.png", "rgb.png");
    put(&pairs, b"masks/scan_\xf6.png", "wave.png");
    let open =
        image_mask_folders(pairs.0.join("images"), pairs.0.join("masks"), &ImageOptions::new(), &Masks::above(0));
    refused(open, &["Unicode", "scan_\\xFC.png"]);
    put(&classes, b"kind_\xfc/1.png", "rgb.png");
    put(&classes, b"kind_\xf6/1.png", "rgb.png");
    refused(image_folder(&classes.0, &ImageOptions::new()), &["Unicode", "kind_\\x"]);
    refused(image_folder_as(&classes.0, &["kind_\u{fffd}"], &ImageOptions::new()), &["Unicode", "kind_\\x"]);
}

#[test]
fn published_images_are_those_that_pillow_reads() {
    let Some(data) = data("published_images_are_those_that_pillow_reads") else { return };
    // Sums over all pixels of each set, from Pillow.
    let sum = |tensor: &Tensor| one_bytes(tensor).iter().map(|v| u64::from(*v)).sum::<u64>();
    let nerve = data.join("seg_us_nerve/train/images");
    let mut total = 0;
    for name in ["0000.png", "0005.png", "0010.png"] {
        total += sum(&images::read(nerve.join(name), &ImageOptions::new().rgb()).unwrap());
    }
    assert_eq!(total, 93823323);
    // Retina photographs are JPEGs, of which decoders enlarge the colours differently: a tenth of a grey level per element.
    let retina = images::read(data.join("seg_chasedb1/Image_01L.jpg"), &ImageOptions::new()).unwrap();
    assert_eq!(retina.shape(), [3, 960, 999]);
    assert!(sum(&retina).abs_diff(145467804) < 3 * 960 * 999 / 10, "{}", sum(&retina));
}
