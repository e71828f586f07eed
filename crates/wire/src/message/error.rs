//! Why bytes are not a message, or a message cannot become bytes.

/// Refusal to encode or decode a stored message, a batch body or a message id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes end inside a field.
    #[error("message ends inside {field}: {needed} bytes needed, {left} left")]
    Truncated {
        /// The field that is cut.
        field: &'static str,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length is negative.
    #[error("{field} length is {value}, expected 0 or more")]
    NegativeLength {
        /// The field whose length it is.
        field: &'static str,
        /// The length as read.
        value: i64,
    },
    /// The fields do not fill the declared total size exactly.
    #[error("message declares {declared} bytes, its fields take {actual}")]
    SizeMismatch {
        /// The total size as read.
        declared: usize,
        /// The sum of the fields.
        actual: usize,
    },
    /// The magic number is that of neither layout.
    #[error("message magic is {0}, expected -626843481 or -626843477")]
    Magic(i32),
    /// A port does not fit 16 bits.
    #[error("{field} port is {value}, expected 0 to 65535")]
    Port {
        /// The field that holds the port.
        field: &'static str,
        /// The port as read.
        value: i32,
    },
    /// A text is not UTF-8.
    #[error("{field} is not UTF-8 after {valid_up_to} bytes")]
    Utf8 {
        /// The text field.
        field: &'static str,
        /// Bytes that are valid.
        valid_up_to: usize,
    },
    /// A text that must be there is empty.
    #[error("{field} is empty")]
    Empty {
        /// The text field.
        field: &'static str,
    },
    /// A field is longer than its limit.
    #[error("{field} has {length} bytes, expected at most {max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The queue id does not fit the layout's signed number.
    #[error("queue id is {0}, expected at most 2147483647")]
    QueueId(u32),
    /// The body does not have the checksum that was stored with it.
    #[error("body checksum is {computed:#010x}, the message says {stored:#010x}")]
    BodyCrc {
        /// Checksum in the message.
        stored: u32,
        /// Checksum of the body as it is.
        computed: u32,
    },
    /// A batch holds more messages than allowed.
    #[error("batch holds more than {max} messages")]
    BatchCount {
        /// The limit.
        max: usize,
    },
    /// A batch holds no message.
    #[error("batch holds no message")]
    BatchEmpty,
    /// The text is not a message id.
    #[error("message id `{start}` has {length} characters, expected 32 or 56 hexadecimal digits")]
    Id {
        /// First characters of the text.
        start: String,
        /// Length of the text in bytes.
        length: usize,
    },
}
