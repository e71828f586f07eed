//! The language that a client says it is written in.

/// Language of the sender of a command. Informative only: nothing is refused for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LanguageCode {
    /// Java; also what this server says, since old clients fail on languages that they do not know.
    #[default]
    Java,
    /// C++.
    Cpp,
    /// .NET.
    DotNet,
    /// Python.
    Python,
    /// Delphi.
    Delphi,
    /// Erlang.
    Erlang,
    /// Ruby.
    Ruby,
    /// Any other, and every name that is not in this list.
    Other,
    /// HTTP.
    Http,
    /// Go.
    Go,
    /// PHP.
    Php,
    /// OpenMessaging.
    Oms,
    /// Rust.
    Rust,
    /// Node.js.
    NodeJs,
    /// A number that is not in this list.
    Unknown(u8),
}

const TABLE: [(LanguageCode, u8, &str); 14] = [
    (LanguageCode::Java, 0, "JAVA"),
    (LanguageCode::Cpp, 1, "CPP"),
    (LanguageCode::DotNet, 2, "DOTNET"),
    (LanguageCode::Python, 3, "PYTHON"),
    (LanguageCode::Delphi, 4, "DELPHI"),
    (LanguageCode::Erlang, 5, "ERLANG"),
    (LanguageCode::Ruby, 6, "RUBY"),
    (LanguageCode::Other, 7, "OTHER"),
    (LanguageCode::Http, 8, "HTTP"),
    (LanguageCode::Go, 9, "GO"),
    (LanguageCode::Php, 10, "PHP"),
    (LanguageCode::Oms, 11, "OMS"),
    (LanguageCode::Rust, 12, "RUST"),
    (LanguageCode::NodeJs, 13, "NODE_JS"),
];

impl LanguageCode {
    /// The language of a name in a JSON header.
    pub fn from_name(name: &str) -> Self {
        TABLE
            .iter()
            .find(|(_, _, n)| *n == name)
            .map_or(Self::Other, |(language, _, _)| *language)
    }

    /// The language of a byte in a binary header.
    pub fn from_byte(byte: u8) -> Self {
        TABLE
            .get(usize::from(byte))
            .map_or(Self::Unknown(byte), |(language, _, _)| *language)
    }

    /// Name in a JSON header.
    pub fn name(self) -> &'static str {
        TABLE
            .iter()
            .find(|(language, _, _)| *language == self)
            .map_or("OTHER", |(_, _, name)| name)
    }

    /// Byte in a binary header.
    pub fn byte(self) -> u8 {
        match self {
            Self::Unknown(byte) => byte,
            known => TABLE
                .iter()
                .find(|(language, _, _)| *language == known)
                .map_or(0, |(_, byte, _)| *byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        for byte in 0..=u8::MAX {
            assert_eq!(LanguageCode::from_byte(byte).byte(), byte);
        }
    }

    #[test]
    fn names_and_bytes_agree() {
        for (index, (language, byte, name)) in TABLE.into_iter().enumerate() {
            assert_eq!(usize::from(byte), index);
            assert_eq!(LanguageCode::from_name(name), language);
            assert_eq!(language.name(), name);
        }
        assert_eq!(LanguageCode::from_name("COBOL"), LanguageCode::Other);
    }
}
