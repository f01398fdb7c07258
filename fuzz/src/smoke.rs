//! Runs a target without a fuzzer: over its corpus, over changes of that, and over random bytes. Part of the tests of the
//! crates; not of this one.

use std::{fs, path::Path, time::Duration, time::Instant};

const ROUNDS: usize = 4_000;
const MOST_BYTES: usize = 512;
/// Slow targets get fewer rounds.
const TIME: Duration = Duration::from_secs(3);

/// Tries a target. The same every time.
pub(crate) fn smoke(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "the target `{name}` has a corpus");
    corpus.iter().for_each(|input| target(input));
    let (mut random, start) = (Random(0x9E37_79B9_7F4A_7C15), Instant::now());
    for round in 0..ROUNDS {
        if start.elapsed() > TIME {
            break;
        }
        let input = match round % 4 {
            0 => random.bytes(),
            _ => random.change(&corpus),
        };
        target(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = fs::read_dir(directory).expect("the corpus is part of the project");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file")).collect()
}

/// xorshift64*: good enough to vary inputs.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(MOST_BYTES)).map(|_| self.byte()).collect()
    }

    /// An input with a few bytes changed, put in, taken out or taken over from another.
    fn change(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            let end = (at + self.below(8)).min(input.len());
            match self.below(4) {
                0 => input.insert(at, self.byte()),
                1 => drop(input.drain(at..end)),
                2 => input[at..end].iter_mut().for_each(|byte| *byte = self.byte()),
                _ => {
                    let other = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(32)).min(other.len());
                    input.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        input
    }
}
