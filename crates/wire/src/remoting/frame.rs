//! From a stream of bytes to commands, and back.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Command, SerializeType, header_binary, header_json};

/// Bytes before the header: frame length, serialize type, header length.
const PREFIX_LEN: usize = 8;

/// Largest header: its length has 24 bits.
const HEADER_LEN_MAX: usize = (1 << 24) - 1;

/// Why bytes are not a frame, or a command cannot become one. After a decode error the stream has
/// lost its frame boundaries and the connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is longer than allowed.
    #[error("frame has {length} bytes, expected at most {max}")]
    TooLong {
        /// Bytes of the frame, its length field included.
        length: u64,
        /// The limit.
        max: usize,
    },
    /// The frame has no room for the header length.
    #[error("frame has {length} bytes after its length, expected at least 4")]
    TooShort {
        /// Bytes after the length field.
        length: usize,
    },
    /// The header is longer than its frame.
    #[error("header has {header} bytes, its frame leaves room for {room}")]
    HeaderLength {
        /// Bytes of the header as read.
        header: usize,
        /// Bytes of the frame that a header could fill.
        room: usize,
    },
    /// The serialize type is neither JSON nor ROCKETMQ.
    #[error("serialize type is {0}, expected 0 (JSON) or 1 (ROCKETMQ)")]
    SerializeType(u8),
    /// A JSON header cannot be read.
    #[error("JSON header: {reason}")]
    Json {
        /// What is wrong, and where.
        reason: String,
    },
    /// A binary header ends inside a field.
    #[error("binary header ends inside {field}: {needed} bytes needed, {left} left")]
    Truncated {
        /// The field that is cut.
        field: &'static str,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length in a binary header is negative.
    #[error("{field} length is {value}, expected 0 or more")]
    NegativeLength {
        /// The field whose length it is.
        field: &'static str,
        /// The length as read.
        value: i64,
    },
    /// A text in a binary header is not UTF-8.
    #[error("{field} is not UTF-8")]
    Utf8 {
        /// The text field.
        field: &'static str,
    },
    /// The header has too many fields.
    #[error("header has more than {max} fields")]
    FieldCount {
        /// The limit.
        max: usize,
    },
    /// The code does not fit the 16 bits of a binary header.
    #[error("code {0} does not fit a binary header, expected -32768 to 32767")]
    Code(i32),
    /// A header to be written is too long.
    #[error("{what} has {length} bytes, expected at most {max}")]
    Encode {
        /// Header, field name or body.
        what: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit.
        max: usize,
    },
}

/// Takes the first frame out of `buffer`; `None` if it is not complete yet. `frame_max` limits the
/// whole frame, its length field included (`base::limits::REMOTING_FRAME_BYTES_MAX`). The body is a
/// slice of the buffer.
///
/// # Errors
/// When the bytes are no frame. Too long a frame is refused as soon as its length is there.
pub fn decode(buffer: &mut BytesMut, frame_max: usize) -> Result<Option<Command>, FrameError> {
    let Some(length) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if u64::from(length) + 4 > frame_max as u64 {
        return Err(FrameError::TooLong {
            length: u64::from(length) + 4,
            max: frame_max,
        });
    }
    let length = length as usize;
    if length < 4 {
        return Err(FrameError::TooShort { length });
    }
    let Some(prefix) = buffer.first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let [_, _, _, _, serialize_type, high, middle, low] = *prefix;
    let header_len = u32::from_be_bytes([0, high, middle, low]) as usize;
    if header_len > length - 4 {
        return Err(FrameError::HeaderLength {
            header: header_len,
            room: length - 4,
        });
    }
    if serialize_type > 1 {
        return Err(FrameError::SerializeType(serialize_type));
    }
    if buffer.len() < 4 + length {
        return Ok(None);
    }

    let mut frame = buffer.split_to(4 + length).freeze();
    frame.advance(PREFIX_LEN);
    let body = frame.split_off(header_len);
    let mut command = if serialize_type == 0 {
        header_json::decode(&frame)?
    } else {
        header_binary::decode(&frame)?
    };
    command.body = body;
    Ok(Some(command))
}

/// A frame whose body stays in the slices that it came in, for a vectored write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Lengths and header.
    pub head: Bytes,
    /// The body, in order.
    pub body: Vec<Bytes>,
}

impl Encoded {
    /// Bytes of the whole frame.
    #[expect(clippy::len_without_is_empty, reason = "a frame is never empty")]
    pub fn len(&self) -> usize {
        self.head.len() + self.body.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Appends a whole frame; copies the body.
///
/// # Errors
/// When the header cannot be written, see [`encode_head`]. `out` is then as it was.
pub fn encode(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    encode_head(command, command.body.len(), out)?;
    out.extend_from_slice(&command.body);
    Ok(())
}

/// Writes the head of a frame whose body is `command.body` followed by `more`.
///
/// # Errors
/// When the header cannot be written, see [`encode_head`].
pub fn encode_vectored(
    command: &Command,
    more: impl IntoIterator<Item = Bytes>,
) -> Result<Encoded, FrameError> {
    let mut body = Vec::new();
    if !command.body.is_empty() {
        body.push(command.body.clone());
    }
    body.extend(more.into_iter().filter(|part| !part.is_empty()));
    let body_len = body.iter().map(Bytes::len).sum();
    let mut head = BytesMut::new();
    encode_head(command, body_len, &mut head)?;
    Ok(Encoded {
        head: head.freeze(),
        body,
    })
}

/// Appends lengths and header of a frame whose body of `body_len` bytes the caller sends.
///
/// # Errors
/// When header or body do not fit their length fields, or the code a binary header. `out` is then
/// as it was.
pub fn encode_head(
    command: &Command,
    body_len: usize,
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    let start = out.len();
    let result = try_encode_head(command, body_len, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn try_encode_head(
    command: &Command,
    body_len: usize,
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    let start = out.len();
    out.reserve(PREFIX_LEN + 128 + command.fields.text_len() + command.fields.len() * 8);
    out.put_bytes(0, PREFIX_LEN);
    match command.serialize_type {
        SerializeType::Json => header_json::encode(command, out),
        SerializeType::RocketMq => header_binary::encode(command, out)?,
    }
    let header_len = out.len() - start - PREFIX_LEN;
    if header_len > HEADER_LEN_MAX {
        return Err(FrameError::Encode {
            what: "header",
            length: header_len,
            max: HEADER_LEN_MAX,
        });
    }
    let body_max = i32::MAX as usize - 4 - header_len;
    if body_len > body_max {
        return Err(FrameError::Encode {
            what: "body",
            length: body_len,
            max: body_max,
        });
    }
    // Both fit: they were just limited.
    let length = (4 + header_len + body_len) as u32;
    let header_word = ((command.serialize_type as u32) << 24) | header_len as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    out[start + 4..start + PREFIX_LEN].copy_from_slice(&header_word.to_be_bytes());
    Ok(())
}
