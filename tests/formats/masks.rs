use std::path::{Path, PathBuf};

use galen::data::formats::images::{self, ImageMasks, ImageOptions, Masks, image_mask_folders};
use galen::data::{RowMut, Rows};
use galen::{DType, Elements, Tensor, TensorSpec};

use super::images::seen;
use super::{Folder, data, decode, file, refused};

fn mask(name: &str, options: &ImageOptions, masks: &Masks) -> galen::Result<Tensor> {
    images::parse_mask(&std::fs::read(file("images").join(name)).unwrap(), Path::new(name), options, masks)
}

fn classes(name: &str, masks: &Masks) -> Vec<u32> {
    let mask = mask(name, &ImageOptions::new(), masks).unwrap();
    assert_eq!(mask.spec(), TensorSpec::new([7, 9], DType::U32));
    mask.into_u32().unwrap().into_iter().collect()
}

fn foreground(name: &str, masks: &Masks) -> Vec<u32> {
    let mask = mask(name, &ImageOptions::new(), masks).unwrap();
    assert_eq!(mask.spec(), TensorSpec::new([1, 7, 9], DType::F32));
    mask.into_f32().unwrap().into_iter().map(|v| v as u32).collect()
}

#[test]
fn a_mask_has_the_values_of_its_file_and_no_colours() {
    // White stands at 0 in the palette: colours would tell something else.
    let labels = seen("labels");
    assert_eq!(classes("palette.png", &Masks::indices(3)), labels);
    assert_eq!(classes("palette2bit.png", &Masks::indices(3)), labels);
    let turned: Vec<u32> = labels.iter().map(|l| [7, 0, 1][*l as usize]).collect();
    assert_eq!(classes("palette.png", &Masks::classes([(0, 7), (1, 0), (2, 1)])), turned);
    let is = |wanted: fn(u32) -> bool| labels.iter().map(|l| u32::from(wanted(*l))).collect::<Vec<_>>();
    assert_eq!(foreground("palette.png", &Masks::above(0)), is(|l| l > 0));
    assert_eq!(foreground("palette.png", &Masks::above(1)), is(|l| l > 1));
    assert_eq!(foreground("palette.png", &Masks::values([0, 2])), is(|l| l != 1));
    assert_eq!(foreground("bit.png", &Masks::binary()), is(|l| l == 1));
    assert_eq!(classes("bit.png", &Masks::indices(2)), is(|l| l == 1));
    assert_eq!(foreground("mask.jpg", &Masks::above(127)), is(|l| l > 0));
    // Numbers of objects beyond 255.
    let deep = seen("grey16");
    assert_eq!(
        foreground("grey16.png", &Masks::above(20_000)),
        deep.iter().map(|v| u32::from(*v > 20_000)).collect::<Vec<_>>()
    );
    assert_eq!(foreground("grey16.tiff", &Masks::values([deep[5]])).iter().sum::<u32>(), 1);
    assert_eq!(classes("grey16.png", &Masks::indices(65536)), deep);
}

#[test]
fn masks_are_fitted_without_new_values() {
    let fitted = |options: ImageOptions| {
        let mask = mask("palette.png", &options, &Masks::indices(3)).unwrap().into_u32().unwrap();
        mask.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(fitted(ImageOptions::new().resize(4, 5)), seen("labels_small"));
    assert_eq!(fitted(ImageOptions::new().resize(10, 13)), seen("labels_large"));
    let labels = seen("labels");
    assert_eq!(fitted(ImageOptions::new().crop_pad(1, 11))[1..10], labels[3 * 9..4 * 9]);
    // What is not there is background, whatever value the background has in the file.
    let options = ImageOptions::new().crop_pad(7, 11);
    let padded = mask("palette.png", &options, &Masks::values([0])).unwrap().into_f32().unwrap();
    assert_eq!((padded[[0, 0, 0]], padded[[0, 0, 1]]), (0.0, 1.0));
}

#[test]
fn values_that_mean_nothing_are_refused_with_their_place() {
    let read = |name: &str, masks: Masks| mask(name, &ImageOptions::new(), &masks);
    refused(read("palette.png", Masks::indices(2)), &["palette.png", "classes below 2", "2 at row 0, column 2"]);
    refused(read("palette.png", Masks::classes([(0, 0), (2, 1)])), &["a class (0, 2)", "1 at row 0, column 1"]);
    refused(read("rgb.png", Masks::binary()), &["rgb.png", "one value per pixel", "[28, 0, 0] at row 0, column 1"]);
    refused(read("rgb.tiff", Masks::binary()), &["rgb.tiff", "one value per pixel"]);
    refused(read("rgb.jpg", Masks::above(127)), &["rgb.jpg", "one value per pixel", "the colour"]);
    refused(read("rgba.png", Masks::above(127)), &["rgba.png", "the same alpha everywhere", "at row 0, column 1"]);
    for masks in [Masks::binary(), Masks::values([255]), Masks::indices(256)] {
        refused(read("mask.jpg", masks), &["mask.jpg", "exact values", "Masks::above(127)"]);
    }
    let whole = std::fs::read(file("images/palette.png")).unwrap();
    for length in 0..whole.len() {
        let cut = images::parse_mask(&whole[..length], Path::new("cut.png"), &ImageOptions::new(), &Masks::binary());
        refused(cut, &["cut.png"]);
    }
}

/// Whatever made a third value, and what the error says of it.
#[test]
fn a_binary_mask_has_two_values() {
    // The mask of a JPEG file, saved again as a PNG: half of its border has values near 0 or near 255.
    let blurred = image(&decoded("mask.jpg"));
    let parse =
        |bytes: &[u8], masks: &Masks| images::parse_mask(bytes, Path::new("x.png"), &ImageOptions::new(), masks);
    let words =
        ["x.png", "0 and one other value", "values (0, 1, 2, ", "... 255)", "Masks::above(127)", "Masks::above(0)"];
    refused(parse(&blurred, &Masks::binary()), &words);
    let labels = seen("labels");
    let right: Vec<f32> = labels.iter().map(|l| f32::from(u8::from(*l > 0))).collect();
    let Tensor::F32(bright) = parse(&blurred, &Masks::above(127)).unwrap() else { panic!("no floats") };
    assert_eq!(bright.iter().copied().collect::<Vec<_>>(), right);
    // Three classes, numbered objects, a mask that was resized: one value more is enough.
    refused(mask("palette.png", &ImageOptions::new(), &Masks::binary()), &["palette.png", "3 values (0, 1, 2)"]);
    let of = |values: [u8; 4]| parse(&image(&(2, 2, values.to_vec())), &Masks::binary());
    refused(of([0, 254, 255, 255]), &["3 values (0, 254, 255)", "Masks::above(127)"]);
    refused(of([1, 2, 2, 1]), &["2 values (1, 2)", "Masks::above(1)"]);
    for (values, sum) in [([0, 255, 255, 0], 2.0), ([0, 1, 0, 0], 1.0), ([0; 4], 0.0), ([7; 4], 4.0)] {
        assert_eq!(of(values).unwrap().into_f32().unwrap().sum(), sum, "{values:?}");
    }
}

/// Height, width and bytes of a grey image.
fn decoded(name: &str) -> (usize, usize, Vec<u8>) {
    let tensor = images::read(file("images").join(name), &ImageOptions::new().grey()).unwrap();
    let (Elements::U8(x), [_, height, width]) = (tensor.elements(), tensor.shape()) else { panic!("no bytes") };
    (*height, *width, x.to_vec())
}

/// A grey PNG of 8 bits.
fn image((height, width, values): &(usize, usize, Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, *width as u32, *height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(values).unwrap();
    bytes
}

/// Images and masks of the names 1 and 2.
fn pairs() -> Folder {
    let folder = Folder::new();
    for name in ["1", "2"] {
        copy(&folder, "rgb.png", &format!("images/{name}.png"));
        copy(&folder, "palette.png", &format!("masks/{name}.png"));
    }
    folder.put("images/.DS_Store", b"hidden");
    folder
}

fn copy(folder: &Folder, name: &str, to: &str) {
    folder.put(to, &std::fs::read(file("images").join(name)).unwrap());
}

fn open(folder: &Folder, options: &ImageOptions) -> galen::Result<ImageMasks> {
    image_mask_folders(folder.0.join("images"), folder.0.join("masks"), options, &Masks::indices(3))
}

#[test]
fn images_and_masks_are_paired_by_name() {
    let folder = pairs();
    copy(&folder, "rgb.jpg", "images/10.jpg");
    copy(&folder, "palette.png", "masks/10.png");
    let found = open(&folder, &ImageOptions::new()).unwrap();
    assert_eq!((found.names(), found.len()), (&["1", "10", "2"].map(String::from)[..], 3));
    assert_eq!(found.masks().sample(), TensorSpec::new([7, 9], DType::U32));
    let masks = decode(found.masks().clone()).unwrap().into_u32().unwrap();
    assert_eq!(masks.into_iter().collect::<Vec<_>>(), seen("labels").repeat(3));
    let data = found.dataset().unwrap();
    assert_eq!((data.len(), &data.sample_shape()[..]), (3, &[3, 7, 9][..]));
    assert!(!format!("{found:?} {data:?}").contains("galen-formats"), "a path in what may be logged");
    refused(found.masks().read(0, RowMut::F32(&mut [0.0; 63])), &["u32", "f32"]);
    refused(found.masks().read(3, RowMut::U32(&mut [0; 63])), &["numbers below 3"]);
    let small = open(&folder, &ImageOptions::new().resize(4, 5)).unwrap();
    assert_eq!(
        (small.images().sample().shape[..].to_vec(), small.masks().sample().shape[..].to_vec()),
        (vec![3, 4, 5], vec![4, 5])
    );
}

#[test]
fn endings_tell_masks_from_images_in_one_folder() {
    let folder = Folder::new();
    for name in ["p1", "p2"] {
        copy(&folder, "rgb.png", &format!("{name}.png"));
        copy(&folder, "palette.png", &format!("{name}_mask.png"));
    }
    let opened = |masks: &Masks| image_mask_folders(&folder.0, &folder.0, &ImageOptions::new(), masks);
    let found = opened(&Masks::above(0).image_ending(".png").mask_ending("_mask.png")).unwrap();
    assert_eq!(found.names(), ["p1", "p2"]);
    assert_eq!(found.masks().sample(), TensorSpec::new([1, 7, 9], DType::F32));
    decode(found.masks().clone()).unwrap();
    assert_eq!(opened(&Masks::binary().mask_ending("_mask.png")).unwrap().names(), ["p1", "p2"]);
    refused(opened(&Masks::binary().mask_ending("_label.png")), &["at least one file that ends in _label.png", "none"]);
}

#[test]
fn what_has_no_partner_is_named() {
    let folder = pairs();
    copy(&folder, "rgb.png", "images/3.png");
    refused(open(&folder, &ImageOptions::new()), &["images", "3.png", "a mask \"3\" in", "an image without one"]);
    let folder = pairs();
    copy(&folder, "palette.png", "masks/0.png");
    refused(open(&folder, &ImageOptions::new()), &["masks", "0.png", "an image \"0\" in", "a mask without one"]);
    let folder = pairs();
    copy(&folder, "rgb.jpg", "images/1.jpg");
    refused(open(&folder, &ImageOptions::new()), &["1.jpg", "one file of the name \"1\"", "two"]);
    let folder = pairs();
    copy(&folder, "wave.png", "masks/2.png");
    refused(open(&folder, &ImageOptions::new()), &["masks", "2.png", "7x9 pixels, as its image \"2\" has", "40x30"]);
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("images")).unwrap();
    refused(open(&folder, &ImageOptions::new()), &["images", "at least one PNG, JPEG or TIFF image"]);
}

/// All masks of a published set, added up.
fn sum(masks: &ImageMasks) -> f64 {
    match decode(masks.masks().clone()).unwrap() {
        Tensor::F32(x) => x.iter().map(|v| f64::from(*v)).sum(),
        Tensor::U32(x) => x.iter().map(|v| f64::from(*v)).sum(),
        Tensor::U8(_) => panic!("masks are no bytes"),
    }
}

#[test]
fn published_masks_are_those_that_pillow_reads() {
    let Some(data) = data("published_masks_are_those_that_pillow_reads") else { return };
    let plain = ImageOptions::new();
    let open = |images: &str, masks: &str, options: &ImageOptions, meaning: Masks| {
        let at = |name: &str| -> PathBuf { data.join(name) };
        image_mask_folders(at(images), at(masks), options, &meaning).unwrap()
    };
    let nuclei = open("seg_nuclei_dsb2018/images", "seg_nuclei_dsb2018/labels", &plain, Masks::above(0));
    assert_eq!((nuclei.len(), nuclei.images().sample().shape[..].to_vec()), (90, vec![3, 256, 256]));
    assert_eq!(sum(&nuclei), 482245.0);
    let cells = open("seg_em_isbi2012/image", "seg_em_isbi2012/label", &plain, Masks::classes([(0, 0), (255, 1)]));
    assert_eq!((cells.names()[..3].to_vec(), sum(&cells)), (["0", "10", "12"].map(String::from).to_vec(), 3065310.0));
    let vessels = Masks::binary().image_ending(".jpg").mask_ending("_1stHO.png");
    let vessels = open("seg_chasedb1", "seg_chasedb1", &plain, vessels);
    assert_eq!((vessels.len(), sum(&vessels)), (20, 1378468.0));
    // Sizes differ, and some images have colours.
    let (images, masks) = ("seg_us_nerve/train/images", "seg_us_nerve/train/masks");
    refused(
        image_mask_folders(data.join(images), data.join(masks), &plain.clone().grey(), &Masks::indices(3)),
        &["pixels, 1 channels", "resize or crop_pad"],
    );
    let nerves = open(images, masks, &plain.clone().grey().resize(256, 256), Masks::indices(3));
    assert_eq!((nerves.len(), sum(&nerves)), (51, 423038.0));
    // Masks in JPEG files, which two decoders may round differently.
    let lungs = open("seg_lung_cxr/images", "seg_lung_cxr/masks", &plain.grey().resize(64, 64), Masks::above(127));
    let area = sum(&lungs);
    assert!(lungs.len() == 227 && (area - 224376.0).abs() < 224376.0 / 1000.0, "{area}");
}
