use super::{Bound, Row, Values, words};
use galen::ops::mutate::Mutate;

pub fn rows() -> Vec<Row> {
    let dna = Mutate { first: 0, letters: 4, rate: 0.3, reverse: 0.5 };
    let tokens = |name: &str, op: Mutate, shape: [usize; 2], below: u32, lengths: bool| {
        let letters = op.letters;
        let row = Row::new(name, move |g, x| {
            let table: Vec<u32> = (0..letters).rev().collect();
            let lengths = lengths.then(|| x[2].clone());
            Ok(vec![x[0].mutate(&op, &x[1], &words(g, "complements", &table)?, lengths.as_ref())?])
        });
        let row = row.u32(shape, below).constant([shape[0], 1 + shape[1]], Values::Uniform(0.0, 1.0));
        row.u32([shape[0]], shape[1] as u32 + 1).bounds(Bound::Exact, Bound::Exact)
    };
    let one_hot = |name: &str, op: Mutate, shape: [usize; 3], lengths: bool| {
        let row = Row::new(name, move |g, x| {
            let lengths = lengths.then(|| x[2].clone());
            Ok(vec![x[0].mutate(&op, &x[1], &words(g, "complements", &[3, 2, 1, 0])?, lengths.as_ref())?])
        });
        let row = row.constant(shape, Values::Normal).constant([shape[0], 1 + shape[2]], Values::Uniform(0.0, 1.0));
        row.u32([shape[0]], shape[2] as u32 + 1).bounds(Bound::Exact, Bound::Exact)
    };
    vec![
        tokens("tokens", dna.clone(), [5, 33], 4, false),
        tokens("tokens_among_others", Mutate { first: 2, ..dna.clone() }, [7, 13], 9, true),
        tokens("tokens_one", dna.clone(), [1, 1], 4, false),
        tokens("tokens_untouched", Mutate { rate: 0.0, reverse: 0.0, ..dna.clone() }, [3, 17], 5, false),
        tokens("tokens_all_mutate", Mutate { letters: 20, rate: 1.0, reverse: 1.0, ..dna.clone() }, [3, 67], 20, true),
        tokens("tokens_of_one_letter", Mutate { letters: 1, rate: 1.0, ..dna.clone() }, [3, 5], 2, false),
        one_hot("one_hot", dna.clone(), [5, 4, 19], false),
        one_hot("one_hot_lengths", Mutate { rate: 1.0, ..dna }, [6, 4, 11], true),
    ]
}
