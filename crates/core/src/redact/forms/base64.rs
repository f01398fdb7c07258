//! Base64 (RFC 4648, sections 4 and 5).

use zeroize::Zeroizing;

use super::{Bytes, collect, copied};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The forms at each alignment: as a part of longer data, and at its end, with and without padding.
pub(super) fn push_all(value: &[u8], forms: &mut Vec<Bytes>) {
    for last_two in [*b"+/", *b"-_"] {
        for offset in 0..3 {
            push_aligned(value, offset, last_two, forms);
        }
    }
}

fn push_aligned(value: &[u8], offset: usize, last_two: [u8; 2], forms: &mut Vec<Bytes>) {
    let mut data = Zeroizing::new(vec![0; offset]);
    data.reserve_exact(value.len());
    data.extend_from_slice(value);
    let padded = encode(&data, last_two);
    // The first character all of whose six bits are the value's, and the one after the last such.
    let (first, last) = ((offset * 8).div_ceil(6), data.len() * 8 / 6);
    let unpadded = (data.len() * 8).div_ceil(6);
    for end in [last, unpadded, padded.len()] {
        forms.push(copied(&padded[first..end]));
    }
}

fn encode(data: &[u8], last_two: [u8; 2]) -> Bytes {
    let character = |sextet: u32| match sextet as usize {
        letter @ 0..62 => LETTERS[letter],
        other => last_two[other - 62],
    };
    let groups = data.chunks(3).flat_map(|chunk| {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        std::array::from_fn::<u8, 4, _>(|at| match at <= chunk.len() {
            true => character(bits >> (18 - 6 * at) & 63),
            false => b'=',
        })
    });
    collect(groups)
}
