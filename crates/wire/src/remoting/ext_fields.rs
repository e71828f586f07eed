//! Names and values of a command's header fields.

use std::fmt;

/// Header fields in the order in which they came, in two allocations whatever their number.
///
/// The fields of one command are few (limit `REMOTING_HEADER_FIELDS_MAX`), and typed headers read
/// them in one pass; [`ExtFields::get`] is for single fields.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: String,
    spans: Vec<Span>,
}

/// Where in the text the name and the value of a field are. A header is far below 4 GiB: its length
/// has 24 bits.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) name: (u32, u32),
    pub(super) value: (u32, u32),
}

impl Span {
    /// Name and value that follow each other from `start` on.
    fn adjoining(start: usize, name_len: usize, value_len: usize) -> Self {
        let (start, value) = (start as u32, (start + name_len) as u32);
        Self {
            name: (start, value),
            value: (value, value + value_len as u32),
        }
    }
}

impl ExtFields {
    /// No fields.
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            spans: Vec::new(),
        }
    }

    /// Room for fields of `text_len` bytes altogether.
    pub(super) fn with_capacity(text_len: usize) -> Self {
        Self {
            text: String::with_capacity(text_len),
            // Send requests, the bulk of all, have 13 to 17 fields.
            spans: Vec::with_capacity(16),
        }
    }

    /// Fields in a text that holds more than them.
    pub(super) fn of_text(text: String, spans: Vec<Span>) -> Self {
        Self { text, spans }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().map(|span| self.field(*span))
    }

    /// The value of one field; the last one if the name is there more than once.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.spans.iter().rev().map(|span| self.field(*span));
        fields.find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Appends a field without looking whether the name is there already.
    pub fn push(&mut self, name: &str, value: impl fmt::Display) {
        use fmt::Write as _;
        self.make_room();
        let start = self.text.len();
        self.text.push_str(name);
        write!(self.text, "{value}").expect("writing to a string cannot fail");
        let value_len = self.text.len() - start - name.len();
        self.spans
            .push(Span::adjoining(start, name.len(), value_len));
    }

    /// Appends a field whose value is a text; faster than [`ExtFields::push`].
    pub fn push_str(&mut self, name: &str, value: &str) {
        self.make_room();
        let start = self.text.len();
        self.spans
            .push(Span::adjoining(start, name.len(), value.len()));
        self.text.push_str(name);
        self.text.push_str(value);
    }

    /// Room for the header of an answer at its first field, so that it does not grow step by step.
    fn make_room(&mut self) {
        if self.spans.capacity() == 0 {
            self.spans.reserve(8);
            self.text.reserve(192);
        }
    }

    /// Bytes of all names and values, or somewhat more.
    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    fn field(&self, span: Span) -> (&str, &str) {
        let part = |(from, to): (u32, u32)| &self.text[from as usize..to as usize];
        (part(span.name), part(span.value))
    }
}

impl PartialEq for ExtFields {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for ExtFields {}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for ExtFields {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a str)>>(fields: T) -> Self {
        let mut all = Self::new();
        for (name, value) in fields {
            all.push_str(name, value);
        }
        all
    }
}
