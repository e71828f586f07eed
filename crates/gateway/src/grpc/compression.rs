//! Compressed bodies between two worlds: Remoting clients write and read zlib, gRPC clients gzip.
//!
//! Both frames hold the same deflate stream. Changing the frame needs the checksum of the content
//! (Adler-32 or CRC32), so the stream is inflated once, piece by piece into a small buffer, and
//! never deflated again. Messages are stored as zlib, the form that every Remoting client reads.
//!
//! Compat: Apache's proxy passes both as they are and says GZIP. Java, Go and Python gRPC clients
//! look at the first bytes; Node (1.0) reads gzip only, Remoting clients read zlib only.

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

use base::limits;

/// Why a body keeps the frame it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The bytes are neither gzip nor zlib.
    #[error("compressed body is neither gzip nor zlib")]
    Unknown,
    /// The frame or the stream in it is damaged, or something follows it.
    #[error("compressed body is damaged or holds more than one stream")]
    Damaged,
    /// The content is too large to be looked through.
    #[error("compressed body holds more than {max} bytes", max = limits::INFLATED_BODY_BYTES_MAX)]
    TooLarge,
}

const GZIP_MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Deflate, no extra field, no name, no time, unknown operating system.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const GZIP_TAIL_BYTES: usize = 8;
/// Deflate with a window of 32 KiB, default level.
const ZLIB_HEAD: [u8; 2] = [0x78, 0x9c];
const ZLIB_TAIL_BYTES: usize = 4;

/// Whether the bytes start as gzip does.
pub(crate) fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&GZIP_MAGIC)
}

/// The body in a zlib frame, for storing. One that has it already stays as it is.
pub(crate) fn to_zlib(body: &Bytes) -> Result<Bytes, FrameError> {
    if is_zlib(body) {
        return Ok(body.clone());
    }
    if !is_gzip(body) {
        return Err(FrameError::Unknown);
    }
    let start = gzip_head_bytes(body).ok_or(FrameError::Damaged)?;
    let content = inflate(&body[start..], GZIP_TAIL_BYTES)?;
    let deflated = &body[start..start + content.deflated_bytes];
    let tail = &body[start + content.deflated_bytes..];
    if tail[..4] != content.crc32.to_le_bytes() || tail[4..] != content.bytes.to_le_bytes() {
        return Err(FrameError::Damaged);
    }
    let adler32 = content.adler32.to_be_bytes();
    Ok([&ZLIB_HEAD[..], deflated, &adler32[..]].concat().into())
}

/// The body in a gzip frame, for handing out. One that has it already stays as it is.
pub(crate) fn to_gzip(body: &Bytes) -> Result<Bytes, FrameError> {
    if is_gzip(body) {
        return Ok(body.clone());
    }
    if !is_zlib(body) {
        return Err(FrameError::Unknown);
    }
    let start = ZLIB_HEAD.len();
    let content = inflate(&body[start..], ZLIB_TAIL_BYTES)?;
    let deflated = &body[start..start + content.deflated_bytes];
    if body[start + content.deflated_bytes..] != content.adler32.to_be_bytes() {
        return Err(FrameError::Damaged);
    }
    let crc32 = content.crc32.to_le_bytes();
    let bytes = content.bytes.to_le_bytes();
    Ok([&GZIP_HEAD[..], deflated, &crc32[..], &bytes[..]]
        .concat()
        .into())
}

/// Deflate, a window of up to 32 KiB, no preset dictionary, and a head that is a multiple of 31.
fn is_zlib(body: &[u8]) -> bool {
    let [first, second, ..] = *body else {
        return false;
    };
    first & 0x0f == 8
        && first >> 4 <= 7
        && second & 0x20 == 0
        && (u16::from(first) << 8 | u16::from(second)) % 31 == 0
}

/// Length of a gzip head with the fields that its flags announce (RFC 1952, 2.3).
fn gzip_head_bytes(body: &[u8]) -> Option<usize> {
    const HEAD_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let flags = *body.get(3)?;
    let mut at = GZIP_HEAD.len();
    if flags & EXTRA != 0 {
        let length = body.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += body.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & HEAD_CRC != 0 {
        at += 2;
    }
    (at < body.len()).then_some(at)
}

/// What a deflate stream holds.
struct Content {
    deflated_bytes: usize,
    /// Length modulo 2^32.
    bytes: u32,
    crc32: u32,
    adler32: u32,
}

/// Inflates the stream at the start of `input`, behind which exactly `tail_bytes` must remain.
fn inflate(input: &[u8], tail_bytes: usize) -> Result<Content, FrameError> {
    let mut stream = Decompress::new(false);
    let mut piece = vec![0; 64 * 1024];
    let mut crc32 = crc32fast::Hasher::new();
    let mut adler32 = Adler32::default();
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let rest = input
            .get(usize::try_from(read).map_err(|_| FrameError::Damaged)?..)
            .ok_or(FrameError::Damaged)?;
        let status = stream
            .decompress(rest, &mut piece, FlushDecompress::None)
            .map_err(|_| FrameError::Damaged)?;
        let count =
            usize::try_from(stream.total_out() - written).map_err(|_| FrameError::Damaged)?;
        crc32.update(&piece[..count]);
        adler32.update(&piece[..count]);
        if stream.total_out() > limits::INFLATED_BODY_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        match status {
            Status::StreamEnd => break,
            // No progress: the stream wants bytes that are not there.
            Status::Ok | Status::BufError if stream.total_in() == read && count == 0 => {
                return Err(FrameError::Damaged);
            }
            Status::Ok | Status::BufError => {}
        }
    }
    let deflated_bytes = usize::try_from(stream.total_in()).map_err(|_| FrameError::Damaged)?;
    if input.len() - deflated_bytes != tail_bytes {
        return Err(FrameError::Damaged);
    }
    Ok(Content {
        deflated_bytes,
        bytes: u32::try_from(stream.total_out()).map_err(|_| FrameError::TooLarge)?,
        crc32: crc32.finalize(),
        adler32: adler32.0,
    })
}

/// The checksum of zlib (RFC 1950, 8.2).
struct Adler32(u32);

impl Default for Adler32 {
    fn default() -> Self {
        Self(1)
    }
}

impl Adler32 {
    fn update(&mut self, bytes: &[u8]) {
        const PRIME: u32 = 65_521;
        // The most bytes whose sums fit 32 bits before the remainder is taken.
        const RUN: usize = 5_552;
        let (mut low, mut high) = (self.0 & 0xffff, self.0 >> 16);
        for run in bytes.chunks(RUN) {
            for byte in run {
                low += u32::from(*byte);
                high += low;
            }
            low %= PRIME;
            high %= PRIME;
        }
        self.0 = high << 16 | low;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use flate2::{
        Compression, GzBuilder,
        read::{GzDecoder, ZlibDecoder},
        write::{GzEncoder, ZlibEncoder},
    };

    use super::*;

    fn content() -> Vec<u8> {
        (0..200_000_u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect()
    }

    fn gzip(content: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zlib(content: &[u8]) -> Bytes {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap().into()
    }

    #[test]
    fn a_body_changes_its_frame_and_back() {
        let content = content();
        let stored = to_zlib(&gzip(&content)).unwrap();
        let mut read = Vec::new();
        ZlibDecoder::new(&stored[..])
            .read_to_end(&mut read)
            .unwrap();
        assert!(read == content);

        let out = to_gzip(&stored).unwrap();
        read.clear();
        GzDecoder::new(&out[..]).read_to_end(&mut read).unwrap();
        assert!(read == content);

        assert_eq!(to_zlib(&stored).unwrap(), stored);
        assert_eq!(to_gzip(&out).unwrap(), out);
        assert_eq!(to_gzip(&zlib(b"")).map(|body| is_gzip(&body)), Ok(true));
    }

    #[test]
    fn a_gzip_head_with_every_field_is_passed_over() {
        let mut encoder = GzBuilder::new()
            .extra(vec![1, 2, 3])
            .filename("a")
            .comment("b")
            .write(Vec::new(), Compression::fast());
        encoder.write_all(b"hello").unwrap();
        let stored = to_zlib(&encoder.finish().unwrap().into()).unwrap();
        let mut read = String::new();
        ZlibDecoder::new(&stored[..])
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, "hello");
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let whole = gzip(b"hello hello hello hello");
        for length in 0..whole.len() {
            assert!(to_zlib(&whole.slice(..length)).is_err(), "cut at {length}");
        }
        // The tail holds the checksum and the length; the stream before it breaks the checksum.
        for index in whole.len() - GZIP_TAIL_BYTES - 3..whole.len() {
            let mut bad = whole.to_vec();
            bad[index] ^= 0x10;
            assert!(to_zlib(&bad.into()).is_err(), "byte {index}");
        }
        let two = [&whole[..], &whole[..]].concat();
        assert_eq!(to_zlib(&two.into()), Err(FrameError::Damaged));
        assert_eq!(
            to_zlib(&Bytes::from_static(b"hello")),
            Err(FrameError::Unknown)
        );
    }

    #[test]
    fn a_bomb_is_refused_before_it_bursts() {
        let zeros = vec![0; 1024 * 1024];
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for _ in 0..=limits::INFLATED_BODY_BYTES_MAX / (1024 * 1024) {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert_eq!(to_zlib(&bomb.into()), Err(FrameError::TooLarge));
    }
}
