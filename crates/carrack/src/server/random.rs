//! Chance, different at every start.

use std::{fs::File, io, io::Read};

use base::SeededRandom;

/// Random numbers from a seed that the operating system gives.
pub(super) fn from_system() -> io::Result<SeededRandom> {
    let mut seed = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(SeededRandom::new(u64::from_ne_bytes(seed)))
}
