//! The XML that requests hold: one element of texts, and nothing else.
//!
//! No document type is read, so there are no entities to be expanded but the five of XML itself.

use quick_xml::{
    Reader,
    events::{BytesDecl, BytesRef, BytesStart, Event},
};

/// Bytes of the attributes of one element; the SDKs write a namespace.
const ATTRIBUTES_BYTES_MAX: usize = 1_024;

/// Why a body is not the XML that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Other bytes than UTF-8.
    #[error("body is not utf-8 from byte {at}")]
    NotUtf8 {
        /// The first byte that is not.
        at: usize,
    },
    /// Not well-formed.
    #[error("xml is malformed near byte {at}: {reason}")]
    Malformed {
        /// Roughly where.
        at: u64,
        /// In words.
        reason: String,
    },
    /// A document type, which could define entities.
    #[error("xml has a document type, expected none")]
    DocumentType,
    /// An entity that is not one of XML's own five.
    #[error("xml names the entity `{name}`, expected one of amp, lt, gt, quot, apos")]
    Entity {
        /// Its name, shortened.
        name: String,
    },
    /// A character that XML does not have.
    #[error("xml holds the character {character:?}, which no xml may")]
    Character {
        /// The character.
        character: char,
    },
    /// Well-formed, but about something else.
    #[error("xml has the element `{found}` where `{expected}` was expected")]
    Element {
        /// The element, shortened.
        found: String,
        /// What should stand there.
        expected: String,
    },
    /// More elements than such a body may have.
    #[error("xml has more than {max} elements in `{root}`")]
    TooMany {
        /// The outer element.
        root: &'static str,
        /// How many there may be.
        max: usize,
    },
}

impl XmlError {
    /// Whether this is no XML at all, rather than XML of something else.
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::NotUtf8 { .. }
            | Self::Malformed { .. }
            | Self::DocumentType
            | Self::Entity { .. }
            | Self::Character { .. } => true,
            Self::Element { .. } | Self::TooMany { .. } => false,
        }
    }
}

/// An element that holds nothing but text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Child {
    /// Its name without a namespace.
    pub(super) name: String,
    /// Its text, as it was sent: line ends are not made uniform, since a body is the sender's.
    pub(super) text: String,
}

/// The elements in the element `root`, which is all that `body` may hold.
pub(super) fn children(
    body: &[u8],
    root: &'static str,
    max: usize,
) -> Result<Vec<Child>, XmlError> {
    let text = str::from_utf8(body).map_err(|error| XmlError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    if let Some(character) = text.chars().find(|one| !is_allowed(*one)) {
        return Err(XmlError::Character { character });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_comments = true;
    let mut walk = Walk {
        root,
        max,
        is_inside: false,
        is_over: false,
        open: None,
        children: Vec::new(),
    };
    loop {
        let event = reader.read_event().map_err(|error| XmlError::Malformed {
            at: reader.error_position(),
            reason: error.to_string(),
        })?;
        let at = reader.buffer_position();
        if event == Event::Eof {
            return match walk.is_over {
                true => Ok(walk.children),
                false => Err(malformed(at, "document ends too early")),
            };
        }
        walk.take(event, at)?;
    }
}

struct Walk {
    root: &'static str,
    max: usize,
    is_inside: bool,
    is_over: bool,
    open: Option<Child>,
    children: Vec<Child>,
}

impl Walk {
    fn take(&mut self, event: Event<'_>, at: u64) -> Result<(), XmlError> {
        match event {
            Event::Start(element) => self.begin(&element, at),
            Event::Empty(element) => {
                self.begin(&element, at)?;
                self.end();
                Ok(())
            }
            Event::End(_) => {
                self.end();
                Ok(())
            }
            Event::Text(text) => self.add(&text.into_inner(), at),
            Event::CData(text) if self.is_inside => self.add(&text.into_inner(), at),
            Event::CData(_) => Err(malformed(at, "text outside of the root element")),
            Event::GeneralRef(entity) => {
                let character = resolve(&entity, at)?;
                self.add(character.encode_utf8(&mut [0; 4]), at)
            }
            Event::Decl(declaration) => check_declaration(&declaration, at),
            Event::DocType(_) => Err(XmlError::DocumentType),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, element: &BytesStart<'_>, at: u64) -> Result<(), XmlError> {
        check_attributes(element, at)?;
        if self.is_over {
            return Err(malformed(at, "more than one root element"));
        }
        let name = local_name(element);
        let other = |expected: String| XmlError::Element {
            found: shortened(&name),
            expected,
        };
        if !self.is_inside {
            if name != self.root {
                return Err(other(self.root.to_owned()));
            }
            self.is_inside = true;
            return Ok(());
        }
        if self.open.is_some() {
            return Err(other("text".to_owned()));
        }
        if self.children.len() >= self.max {
            let (root, max) = (self.root, self.max);
            return Err(XmlError::TooMany { root, max });
        }
        let text = String::new();
        self.open = Some(Child { name, text });
        Ok(())
    }

    /// The reader has checked that names match.
    fn end(&mut self) {
        match self.open.take() {
            Some(child) => self.children.push(child),
            None => (self.is_inside, self.is_over) = (false, true),
        }
    }

    fn add(&mut self, text: &str, at: u64) -> Result<(), XmlError> {
        if let Some(child) = &mut self.open {
            child.text.push_str(text);
            return Ok(());
        }
        if text
            .chars()
            .all(|one| matches!(one, ' ' | '\t' | '\r' | '\n'))
        {
            return Ok(());
        }
        match self.is_inside {
            true => Err(XmlError::Element {
                found: "text".to_owned(),
                expected: format!("element of `{}`", self.root),
            }),
            false => Err(malformed(at, "text outside of the root element")),
        }
    }
}

fn malformed(at: u64, reason: &str) -> XmlError {
    let reason = reason.to_owned();
    XmlError::Malformed { at, reason }
}

fn check_declaration(declaration: &BytesDecl<'_>, at: u64) -> Result<(), XmlError> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(_) => Err(malformed(at, "encoding is another than UTF-8")),
    }
}

fn check_attributes(element: &BytesStart<'_>, at: u64) -> Result<(), XmlError> {
    if element.attributes_raw().len() > ATTRIBUTES_BYTES_MAX {
        return Err(malformed(at, "an element has too many attributes"));
    }
    for attribute in element.attributes() {
        attribute.map_err(|error| malformed(at, &error.to_string()))?;
    }
    Ok(())
}

fn local_name(element: &BytesStart<'_>) -> String {
    element.local_name().into_inner().to_owned()
}

fn resolve(entity: &BytesRef<'_>, at: u64) -> Result<char, XmlError> {
    if let Some(character) = entity
        .resolve_char_ref()
        .map_err(|error| malformed(at, &error.to_string()))?
    {
        return match is_allowed(character) {
            true => Ok(character),
            false => Err(XmlError::Character { character }),
        };
    }
    match &*entity.borrow().into_inner() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        name => Err(XmlError::Entity {
            name: shortened(name),
        }),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Whether XML 1.0 has this character.
pub(super) fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Writes an element of text. What XML cannot hold becomes U+FFFD.
pub(crate) fn push_element(out: &mut String, name: &str, text: &str) {
    out.reserve(2 * name.len() + text.len() + 5);
    for part in ["<", name, ">"] {
        out.push_str(part);
    }
    push_text(out, text);
    for part in ["</", name, ">"] {
        out.push_str(part);
    }
}

fn push_text(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Readers make one line feed of a bare one.
            '\r' => out.push_str("&#xD;"),
            other if is_allowed(other) => out.push(other),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, XmlError> {
        let children = children(text.as_bytes(), "Message", 3)?;
        let pairs = children.into_iter().map(|child| (child.name, child.text));
        Ok(pairs.collect())
    }

    fn one(name: &str, text: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), text.to_owned())]
    }

    #[test]
    fn texts_are_read_however_they_are_written() {
        for (written, text) in [
            ("hello", "hello"),
            ("", ""),
            ("&lt;a&gt; &amp; &quot;b&apos;", "<a> & \"b'"),
            ("<![CDATA[<a> & ]]]]><![CDATA[>]]>", "<a> & ]]>"),
            ("&#65;&#x1F600;", "A\u{1f600}"),
            ("a<!-- no text -->b", "ab"),
            (" a\r\nb ", " a\r\nb "),
        ] {
            let document = format!("<Message><MessageBody>{written}</MessageBody></Message>");
            assert_eq!(read(&document), Ok(one("MessageBody", text)), "{written}");
        }
        let whole = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
                     <q:Message xmlns:q='http://mq.aliyuncs.com/doc/v1'>\n <q:MessageBody/>\n\
                     </q:Message>\n<!-- end -->\n";
        assert_eq!(read(whole), Ok(one("MessageBody", "")));
        assert_eq!(read("<Message/>"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_well_formed_is_told_from_what_is_something_else() {
        for malformed in [
            "",
            "hello",
            "<Message>",
            "<Message><MessageBody></Message>",
            "<Message><MessageBody>a</MessageBody></Message><Message/>",
            "<Message/>and more",
            "<![CDATA[a]]><Message/>",
            "<Message a=1/>",
            "<Message a='1' a='2'/>",
            "<Message><MessageBody>a & b</MessageBody></Message>",
            "<Message><MessageBody>&bomb;</MessageBody></Message>",
            "<Message><MessageBody>&#0;</MessageBody></Message>",
            "<Message><MessageBody>&#x1;</MessageBody></Message>",
            "<Message><MessageBody>\u{1}</MessageBody></Message>",
            "<?xml version='1.0' encoding='gbk'?><Message/>",
            "<!DOCTYPE Message><Message/>",
        ] {
            let error = read(malformed).unwrap_err();
            assert!(error.is_malformed(), "{malformed}: {error}");
        }
        for other in [
            "<Messages/>",
            "<Message>text</Message>",
            "<Message><MessageBody><b>a</b></MessageBody></Message>",
            "<Message><a/><b/><c/><d/></Message>",
        ] {
            let error = read(other).unwrap_err();
            assert!(!error.is_malformed(), "{other}: {error}");
        }
        assert_eq!(
            children(&[b'<', 0xff], "Message", 1),
            Err(XmlError::NotUtf8 { at: 1 })
        );
    }

    #[test]
    fn entities_are_not_expanded() {
        let mut bomb = "<!DOCTYPE Message [<!ENTITY a0 \"ha\">".to_owned();
        for n in 1..30 {
            let before = n - 1;
            bomb.push_str(&format!("<!ENTITY a{n} \"&a{before};&a{before};\">"));
        }
        bomb.push_str("]><Message><MessageBody>&a29;</MessageBody></Message>");
        assert_eq!(read(&bomb), Err(XmlError::DocumentType));
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in ["", "a<b>&\"'c", " \r\n\t ", "]]>", "\u{1f600}\u{fffd}"] {
            let mut out = "<Message>".to_owned();
            push_element(&mut out, "MessageBody", text);
            out.push_str("</Message>");
            assert_eq!(read(&out), Ok(one("MessageBody", text)), "{out}");
        }
        let mut out = String::new();
        push_element(&mut out, "a", "\0\u{8}\u{ffff}");
        assert_eq!(out, "<a>\u{fffd}\u{fffd}\u{fffd}</a>");
    }
}
