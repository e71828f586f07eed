//! The header as a JSON object.
//!
//! Released clients differ in what they write: numbers as texts, field values as numbers or
//! booleans, `null`, and members of their own (`namespaceId` of ONS clients). All of that is read.

use std::{borrow::Cow, fmt};

use base::limits::REMOTING_HEADER_FIELDS_MAX;
use bytes::{BufMut, BytesMut};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Command, ExtFields, FrameError, LanguageCode, SerializeType};

pub(super) fn decode(header: &[u8]) -> Result<Command, FrameError> {
    let mut deserializer = serde_json::Deserializer::from_slice(header);
    let command = deserializer
        .deserialize_map(CommandVisitor {
            header_len: header.len(),
        })
        .and_then(|command| deserializer.end().map(|()| command));
    command.map_err(|error| FrameError::Json {
        reason: error.to_string(),
    })
}

struct CommandVisitor {
    header_len: usize,
}

impl<'de> Visitor<'de> for CommandVisitor {
    type Value = Command;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the members of a command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Command, A::Error> {
        let mut command = Command {
            serialize_type: SerializeType::Json,
            ..Command::default()
        };
        let mut has_code = false;
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "code" => {
                    command.code = map.next_value_seed(Number)?;
                    has_code = true;
                }
                "version" => command.version = map.next_value_seed(Number)?,
                "opaque" => command.opaque = map.next_value_seed(Number)?,
                "flag" => command.flag = map.next_value_seed(Number)?,
                "language" => {
                    let scalar: Option<Text<'de>> = map.next_value_seed(Scalar)?;
                    command.language = scalar.map_or(LanguageCode::Other, |t| language(&t.0));
                }
                "remark" => {
                    let scalar = map.next_value_seed(Scalar)?;
                    command.remark = scalar.map(|text| text.0.into_owned());
                }
                "extFields" => {
                    let header_len = self.header_len;
                    command.fields = map.next_value_seed(Fields { header_len })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if !has_code {
            return Err(serde::de::Error::missing_field("code"));
        }
        Ok(command)
    }
}

/// A language is written by name; some clients write its number.
fn language(text: &str) -> LanguageCode {
    match text.parse() {
        Ok(byte) => LanguageCode::from_byte(byte),
        Err(_) => LanguageCode::from_name(text),
    }
}

/// A text, borrowed from the header where no escape stands in the way.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A plain value as a text; `None` for null, and for arrays and objects, which no client sends and
/// which would take many times their size in memory.
struct Scalar;

impl<'de> DeserializeSeed<'de> for Scalar {
    type Value = Option<Text<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar {
    type Value = Option<Text<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(owned(text))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(owned(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(owned(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(owned(number))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(owned(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

fn owned<'de>(value: impl fmt::Display) -> Option<Text<'de>> {
    Some(Text(Cow::Owned(value.to_string())))
}

/// A number that may be written as a text; null is 0.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = i32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i32, D::Error> {
        let Some(Text(text)) = deserializer.deserialize_any(Scalar)? else {
            return Ok(0);
        };
        let wide: i64 = text.trim().parse().map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            serde::de::Error::custom(format_args!("`{shown}`, expected a number"))
        })?;
        // `opaque` of clients that count unsigned: keep the 32 bits, which the answer repeats.
        i32::try_from(wide)
            .or_else(|_| u32::try_from(wide).map(u32::cast_signed))
            .map_err(|_| serde::de::Error::custom(format_args!("{wide}, expected 32 bits")))
    }
}

struct Fields {
    header_len: usize,
}

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = ExtFields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ExtFields, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = ExtFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of header fields")
    }

    fn visit_unit<E>(self) -> Result<ExtFields, E> {
        Ok(ExtFields::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ExtFields, A::Error> {
        let mut fields = ExtFields::with_capacity(self.header_len);
        while let Some(Text(name)) = map.next_key()? {
            if fields.len() == REMOTING_HEADER_FIELDS_MAX {
                return Err(serde::de::Error::custom(format_args!(
                    "more than {REMOTING_HEADER_FIELDS_MAX} fields"
                )));
            }
            if let Some(Text(value)) = map.next_value_seed(Scalar)? {
                fields.push_str(&name, &value);
            }
        }
        Ok(fields)
    }
}

/// Writes the members in the order of Apache's servers.
pub(super) fn encode(command: &Command, out: &mut BytesMut) {
    use std::fmt::Write as _;
    let fits = "a growing buffer takes every write";
    write!(out, "{{\"code\":{}", command.code).expect(fits);
    if !command.fields.is_empty() {
        out.put_slice(b",\"extFields\":{");
        for (index, (name, value)) in command.fields.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            put_text(name, out);
            out.put_u8(b':');
            put_text(value, out);
        }
        out.put_u8(b'}');
    }
    let (flag, language) = (command.flag, command.language.name());
    write!(out, ",\"flag\":{flag},\"language\":\"{language}\"").expect(fits);
    write!(out, ",\"opaque\":{}", command.opaque).expect(fits);
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":");
        put_text(remark, out);
    }
    let version = command.version;
    write!(
        out,
        ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":{version}}}"
    )
    .expect(fits);
}

fn put_text(text: &str, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), text).expect("a growing buffer takes every text");
}
