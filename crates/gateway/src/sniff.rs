//! Which protocol a connection speaks, told by its first bytes.
//!
//! | first bytes | protocol |
//! | --- | --- |
//! | `16 03` | TLS; what is inside is told again |
//! | `PRI ` | HTTP/2 |
//! | an HTTP method | HTTP/1.1 |
//! | a length of at most 16 MiB | Remoting |
//!
//! No two overlap: a Remoting length starts with 0 or 1. Four bytes always decide.

use base::limits::REMOTING_FRAME_BYTES_MAX;

/// A protocol, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Protocol {
    Tls,
    Http2,
    Http1,
    Remoting,
}

impl Protocol {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Http1 => "http1",
            Self::Remoting => "remoting",
        }
    }
}

/// What the first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// Nothing yet.
    More,
    /// The protocol.
    Is(Protocol),
    /// It is none that is spoken here.
    Garbage,
}

/// The methods of HTTP/1.1, each cut to the four bytes that tell it.
const METHODS: [&[u8; 4]; 9] = [
    b"GET ", b"POST", b"PUT ", b"DELE", b"HEAD", b"OPTI", b"PATC", b"TRAC", b"CONN",
];

/// Looks at the bytes received so far.
pub(crate) fn sniff(bytes: &[u8]) -> Sniffed {
    let Some(&first) = bytes.first() else {
        return Sniffed::More;
    };
    if first == 0x16 {
        return match bytes.get(1) {
            None => Sniffed::More,
            Some(0x03) => Sniffed::Is(Protocol::Tls),
            Some(_) => Sniffed::Garbage,
        };
    }
    if first <= 1 {
        let Some(length) = bytes.first_chunk::<4>() else {
            return Sniffed::More;
        };
        // The length field does not count itself.
        let length = u32::from_be_bytes(*length) as usize;
        return if (4..=REMOTING_FRAME_BYTES_MAX - 4).contains(&length) {
            Sniffed::Is(Protocol::Remoting)
        } else {
            Sniffed::Garbage
        };
    }
    let seen = &bytes[..bytes.len().min(4)];
    if METHODS.iter().any(|method| method.starts_with(seen)) {
        return if seen.len() == 4 {
            Sniffed::Is(Protocol::Http1)
        } else {
            Sniffed::More
        };
    }
    if b"PRI ".starts_with(seen) {
        return if seen.len() == 4 {
            Sniffed::Is(Protocol::Http2)
        } else {
            Sniffed::More
        };
    }
    Sniffed::Garbage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_told_within_four_bytes() {
        for (bytes, expected) in [
            (&[0x16, 0x03, 0x01][..], Protocol::Tls),
            (b"PRI * HTTP/2.0", Protocol::Http2),
            (b"GET / HTTP/1.1", Protocol::Http1),
            (b"POST /topics", Protocol::Http1),
            (b"PUT /", Protocol::Http1),
            (b"DELETE /", Protocol::Http1),
            (&[0, 0, 0, 100], Protocol::Remoting),
            (&[0, 0xff, 0xff, 0xfc], Protocol::Remoting),
        ] {
            let decided = (0..=bytes.len()).find(|n| sniff(&bytes[..*n]) != Sniffed::More);
            assert!(
                decided.is_some_and(|n| n <= 4),
                "{bytes:?} decided after {decided:?}"
            );
            assert_eq!(sniff(bytes), Sniffed::Is(expected), "{bytes:?}");
            for n in 0..decided.unwrap() {
                assert_eq!(sniff(&bytes[..n]), Sniffed::More, "{bytes:?} cut to {n}");
            }
        }
    }

    #[test]
    fn everything_else_is_refused_at_once() {
        for bytes in [
            &[0x16, 0x04][..],
            b"SSH-2.0",
            b"get /",
            b"PRX ",
            &[2, 0, 0, 0],
            &[0xff; 4],
            // Shorter than a header length, longer than the frame limit.
            &[0, 0, 0, 3],
            &[1, 0, 0, 0],
        ] {
            assert_eq!(sniff(bytes), Sniffed::Garbage, "{bytes:?}");
        }
    }
}
