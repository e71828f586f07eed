//! From inputs that a decoder knows to inputs that it does not.

use base::{Random, SeededRandom};

/// Longest input. Decoders that look at bytes more than once per byte show it well before.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// Longest input that is made by ordinary mutations.
const ORDINARY_BYTES_MAX: usize = 1 << 13;

/// Numbers that lengths and counts break at.
const NUMBERS: [i64; 14] = [
    0,
    1,
    -1,
    2,
    127,
    128,
    255,
    i16::MAX as i64,
    i16::MIN as i64,
    u16::MAX as i64,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

/// Bytes that have a meaning in one of the formats.
const BYTES: &[u8] = b"\x00\x01\x02\x7f\x80\xff{}[]:,\"'\\ 0-eE.ntu%";

/// The next input: one of the pool, changed in a few places.
pub(crate) fn next(pool: &[Vec<u8>], random: &SeededRandom) -> Vec<u8> {
    let mut input = match pool.len() {
        0 => Vec::new(),
        count => pool[below(random, count)].clone(),
    };
    // One change mostly, up to eight now and then: few changes leave the rest decodable.
    let changes = 1 + random.next().trailing_zeros().min(7);
    for _ in 0..changes {
        change(&mut input, pool, random);
    }
    if below(random, 4_096) == 0 {
        blow_up(&mut input, random);
    } else {
        input.truncate(ORDINARY_BYTES_MAX);
    }
    input
}

fn change(input: &mut Vec<u8>, pool: &[Vec<u8>], random: &SeededRandom) {
    let at = below(random, input.len() + 1);
    match below(random, 10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << below(random, 8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => input.insert(at, BYTES[below(random, BYTES.len())]),
        3 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = BYTES[below(random, BYTES.len())];
            }
        }
        4 => number(input, at, random),
        5 => {
            input.drain(chunk(input, at, random));
        }
        6 => {
            let copied = input[chunk(input, at, random)].to_vec();
            let to = below(random, input.len() + 1);
            input.splice(to..to, copied);
        }
        7 => input.truncate(at),
        8 => {
            let random_bytes = (0..below(random, 16)).map(|_| random.next() as u8);
            input.splice(at..at, random_bytes);
        }
        _ => {
            if !pool.is_empty() {
                let other = &pool[below(random, pool.len())];
                let from = below(random, other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
        }
    }
}

/// Writes a number of 1, 2, 4 or 8 bytes over what is there: one that breaks lengths, or one near
/// the length of the input.
fn number(input: &mut [u8], at: usize, random: &SeededRandom) {
    let number = if below(random, 2) == 0 {
        NUMBERS[below(random, NUMBERS.len())]
    } else {
        (input.len() as i64).wrapping_sub(below(random, 64) as i64 - 8)
    };
    let bytes = number.to_be_bytes();
    let bytes = &bytes[8 - (1 << below(random, 4))..];
    for (to, from) in input.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

/// Repeats a short piece until the input is long.
fn blow_up(input: &mut Vec<u8>, random: &SeededRandom) {
    let at = below(random, input.len() + 1);
    let end = (at + 1 + below(random, 24)).min(input.len());
    let piece = input[at..end].to_vec();
    if piece.is_empty() {
        return;
    }
    let length = 1 << (12 + below(random, 9));
    // Other mutations may have made it longer than it should be.
    let room = INPUT_BYTES_MAX.saturating_sub(input.len());
    let count = length.min(room) / piece.len();
    input.splice(at..at, piece.repeat(count));
}

fn chunk(input: &[u8], at: usize, random: &SeededRandom) -> std::ops::Range<usize> {
    let longest = if below(random, 4) == 0 {
        input.len()
    } else {
        16
    };
    at..(at + 1 + below(random, longest.max(1)))
        .min(input.len())
        .max(at)
}

fn below(random: &SeededRandom, bound: usize) -> usize {
    random.below(bound as u64) as usize
}
