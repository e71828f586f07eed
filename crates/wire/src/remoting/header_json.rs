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
    // One look at all of it instead of one at each text.
    let header = std::str::from_utf8(header).map_err(|error| FrameError::Json {
        reason: error.to_string(),
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(header);
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

/// A number that may be written as a text; what is no plain value is 0.
struct Number;

impl<'de> DeserializeSeed<'de> for Number {
    type Value = i32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<i32, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Number {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<i32, E> {
        // `opaque` of clients that count unsigned: keep the 32 bits, which the answer repeats.
        i32::try_from(number)
            .or_else(|_| u32::try_from(number).map(u32::cast_signed))
            .map_err(|_| E::custom(format_args!("{number}, expected 32 bits")))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i32, E> {
        u32::try_from(number)
            .map(u32::cast_signed)
            .map_err(|_| E::custom(format_args!("{number}, expected 32 bits")))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<i32, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<i32, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<i32, E> {
        match text.trim().parse() {
            Ok(number) => self.visit_i64(number),
            Err(_) => {
                let shown: String = text.chars().take(64).collect();
                Err(E::custom(format_args!("`{shown}`, expected a number")))
            }
        }
    }

    fn visit_unit<E>(self) -> Result<i32, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<i32, A::Error> {
        Scalar.visit_seq(seq).map(|_| 0)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<i32, A::Error> {
        Scalar.visit_map(map).map(|_| 0)
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
    out.put_slice(b"{\"code\":");
    put_number(command.code, out);
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
    out.put_slice(b",\"flag\":");
    put_number(command.flag, out);
    out.put_slice(b",\"language\":\"");
    out.put_slice(command.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    put_number(command.opaque, out);
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":");
        put_text(remark, out);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_number(command.version, out);
    out.put_u8(b'}');
}

fn put_number(number: i32, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), &number).expect("a growing buffer takes every number");
}

fn put_text(text: &str, out: &mut BytesMut) {
    serde_json::to_writer(out.writer(), text).expect("a growing buffer takes every text");
}
