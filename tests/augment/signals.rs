//! Signals and sequences.

use galen::Tensor;
use galen::augment::{SequenceAugment, SignalAugment};
use ndarray::{Array1, Array3, Axis};

use super::{augmented, devices, first, names, run};

#[test]
fn signals_lose_leads_but_one_and_their_baseline_wanders_slowly() {
    let x = Tensor::from(Array3::<f32>::from_shape_fn((200, 3, 500), |(i, l, _)| (i + l + 1) as f32));
    for device in devices() {
        let augment = SignalAugment::new().lead_dropout(0.7).jitter(0.1);
        let y = first(&device, &augment, 0, &names(200), &x);
        let off = |lead: ndarray::ArrayViewD<'_, f32>| lead.iter().all(|v| *v == 0.0);
        let kept: Vec<usize> = y.outer_iter().map(|s| s.outer_iter().filter(|l| !off(l.view())).count()).collect();
        assert!(kept.iter().all(|n| (1..=3).contains(n)), "{device}: {kept:?}");
        let share = kept.iter().sum::<usize>() as f32 / 600.0;
        assert!((share - (1.0 / 3.0 + 2.0 / 3.0 * 0.3)).abs() < 0.06, "{device}: {share}");

        // 500 values at 100 Hz: at most 2.5 cycles of 0.5 Hz.
        let flat = Tensor::from(Array3::<f32>::zeros((50, 3, 500)));
        let y = first(&device, &SignalAugment::new().baseline_wander(0.4, 100.0), 0, &names(50), &flat);
        let largest = y.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest > 0.1 && largest <= 0.4, "{device}: {largest}");
        for lead in y.rows() {
            let steepest = lead.iter().zip(lead.iter().skip(1)).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(steepest <= 0.4 * std::f32::consts::TAU * 0.5 / 100.0 + 1e-5, "{device}: {steepest}");
        }
        let scaled = first(&device, &SignalAugment::new().scale(0.5, 2.0), 0, &names(200), &x);
        let factor = |i: usize, l: usize| scaled[[i, l, 7]] / (i + l + 1) as f32;
        assert!((0..200).all(|i| (0.5..=2.0).contains(&factor(i, 0)) && (factor(i, 0) - factor(i, 2)).abs() < 1e-5));
    }
}

#[test]
fn sequences_mutate_and_are_read_from_the_other_strand() {
    let mut random = galen::contract::Threefry::new(1, 1);
    let tokens = ndarray::Array2::from_shape_simple_fn((300, 41), || 1 + random.below(4));
    let lengths = Array1::from_shape_fn(300, |i| 1 + i as u32 % 41);
    let tensors = [Tensor::from(tokens.clone()), lengths.clone().into()];
    let turned = |i: usize| {
        let n = lengths[i] as usize;
        let mut row = tokens.row(i).to_vec();
        (0..n).for_each(|k| row[k] = 5 - tokens[[i, n - 1 - k]]);
        row
    };
    for device in devices() {
        let dna = SequenceAugment::dna().first_token(1).lengths(1);
        let get = |augment: &SequenceAugment| match &augmented(&device, augment, 0, &names(300), &tensors, 2) {
            Ok(y) => match &y[0] {
                Tensor::U32(y) => y.clone(),
                other => panic!("{other:?}"),
            },
            Err(e) => panic!("{e}"),
        };
        let y = get(&dna.clone().reverse_complement(0.5));
        let mut count = 0;
        for (i, y) in y.outer_iter().enumerate() {
            let y: Vec<u32> = y.iter().copied().collect();
            count += usize::from(y != tokens.row(i).to_vec());
            assert!(y == tokens.row(i).to_vec() || y == turned(i), "{device}: sample {i}");
        }
        assert!(count.abs_diff(150) < 40, "{device}: {count} of 300 turned");
        let y = get(&dna.clone().reverse_complement(1.0));
        assert!((0..300).all(|i| y.index_axis(Axis(0), i).iter().copied().eq(turned(i))), "{device}");

        let y = get(&dna.mutation(0.2));
        let places = lengths.iter().sum::<u32>() as f32;
        let mut steps = [0; 4];
        for ((i, k), x) in tokens.indexed_iter() {
            let step = (y[[i, k]] + 4 - x) % 4;
            steps[step as usize] += 1;
            assert!((1..5).contains(&y[[i, k]]) && (step == 0 || (k as u32) < lengths[i]), "{device}: {i}, {k}");
        }
        assert!(steps[1..].iter().all(|n| (*n as f32 / places - 0.2 / 3.0).abs() < 0.012), "{device}: {steps:?}");
    }
}

/// The same numbers choose for tokens and for one-hot letters.
#[test]
fn one_hot_letters_change_as_tokens_do() {
    let mut random = galen::contract::Threefry::new(2, 1);
    let tokens = Tensor::from(ndarray::Array2::from_shape_simple_fn((40, 23), || random.below(4)));
    let augment = SequenceAugment::dna().mutation(0.3).reverse_complement(0.5);
    for device in devices() {
        let letters = run(&device, 0, &names(40), std::slice::from_ref(&tokens), |_, x| {
            Ok(vec![x[0].one_hot(4)?.transpose(&[0, 2, 1])?])
        });
        let letters = letters.expect("letters");
        let y = augmented(&device, &augment, 0, &names(40), std::slice::from_ref(&tokens), 1).expect("tokens");
        let expected =
            run(&device, 0, &names(40), &y, |_, x| Ok(vec![x[0].one_hot(4)?.transpose(&[0, 2, 1])?])).expect("letters");
        assert_ne!(expected, letters);
        assert_eq!(augmented(&device, &augment, 0, &names(40), &letters, 1).expect("letters"), expected, "{device}");
    }
}
