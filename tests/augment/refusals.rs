//! Settings and data that do not fit are named.

use galen::augment::{Augment, Augmentation, Fill, SequenceAugment, SignalAugment};
use galen::{Error, Tensor};
use ndarray::Array3;

use super::{augmented, cpu, names, noise};

#[test]
fn settings_that_make_no_sense_are_named() {
    let wrong: Vec<(Box<dyn Augmentation>, &str)> = vec![
        (Box::new(Augment::new().zoom(0.0, 1.0)), "zoom must be"),
        (Box::new(Augment::new().zoom(1.2, 0.8)), "zoom must be"),
        (Box::new(Augment::new().rotate(f32::NAN)), "rotation must be"),
        (Box::new(Augment::new().shift(1.5)), "shift must be"),
        (Box::new(Augment::new().shear(90.0)), "shear must be"),
        (Box::new(Augment::new().brightness(-0.1)), "brightness must be"),
        (Box::new(Augment::new().contrast(2.0, 1.0)), "contrast must be"),
        (Box::new(Augment::new().gamma(0.0, 1.0)), "gamma must be"),
        (Box::new(Augment::new().range(1.0, 1.0)), "range must be"),
        (Box::new(Augment::new().noise(f32::INFINITY)), "noise must be"),
        (Box::new(Augment::new().blur(-1.0, 1.0)), "sigma must be"),
        (Box::new(Augment::new().cutout(0, 0.5)), "size must be"),
        (Box::new(Augment::new().cutout(8, 1.5)), "probability must be"),
        (Box::new(Augment::new().fill(Fill::Constant(f32::NAN))), "fill must be"),
        (Box::new(Augment::new().elastic(0, 1.0)), "elastic cells must be"),
        (Box::new(Augment::new().elastic(3, 1.0).with_boxes(0)), "boxes cannot follow"),
        (Box::new(SignalAugment::new().lead_dropout(1.1)), "lead dropout must be"),
        (Box::new(SignalAugment::new().scale(-1.0, 1.0)), "scale must be"),
        (Box::new(SignalAugment::new().jitter(-1.0)), "jitter must be"),
        (Box::new(SignalAugment::new().baseline_wander(0.1, 0.0)), "sampling rate must be"),
        (Box::new(SequenceAugment::dna().mutation(1.5)), "mutation must be"),
        (Box::new(SequenceAugment::letters(20).reverse_complement(0.5)), "needs the letters' complements"),
        (Box::new(SequenceAugment::dna().complements([1, 2, 3, 0])), "complements must be"),
        (Box::new(SequenceAugment::letters(0)), "letters must be"),
    ];
    for (augment, expected) in wrong {
        let error = augment.check().expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}, expected \"{expected}\"");
    }
}

#[test]
fn data_that_does_not_fit_is_named() {
    let image = || Tensor::from(noise([3, 1, 8, 6]));
    let flat = Tensor::from(ndarray::Array2::<f32>::zeros((3, 48)));
    let mask = |h: usize, w: usize| Tensor::from(Array3::<u32>::zeros((3, h, w)));
    let signal = Tensor::from(Array3::<f32>::zeros((3, 2, 9)));
    let turn = Augment::new().rotate(5.0);
    let cases: Vec<(Box<dyn Augmentation>, Vec<Tensor>, &str)> = vec![
        (Box::new(turn.clone()), vec![flat.clone()], "[c, h, w]"),
        (Box::new(turn.clone().input(1)), vec![image()], "input must be below 1"),
        (
            Box::new(turn.clone().with_masks()),
            vec![image(), mask(6, 8)],
            "a mask: expected one of the image's size, [batch, .., 8, 6]",
        ),
        (Box::new(turn.clone().with_mask(1)), vec![image(), mask(8, 6)], "target must be below 1"),
        (Box::new(turn.with_boxes(0)), vec![image(), mask(8, 6)], "warp_boxes"),
        (Box::new(Augment::new().quarter_turns()), vec![image()], "as wide as high"),
        (Box::new(SignalAugment::new()), vec![image()], "[leads, time]"),
        (Box::new(SequenceAugment::dna()), vec![signal], "one-hot letters [4, time]"),
    ];
    for (augment, tensors, expected) in cases {
        let error = augmented(&cpu(), augment.as_ref(), 0, &names(3), &tensors, 1).expect_err(expected);
        assert!(
            !matches!(error, Error::Backend { .. }) && error.to_string().contains(expected),
            "{error}, expected \"{expected}\""
        );
    }
}
