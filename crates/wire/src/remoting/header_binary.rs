//! The header in RocketMQ's binary form.
//!
//! Code i16, language u8, version i16, opaque i32, flag i32, remark i32 + n, fields i32 + n; each
//! field is name i16 + n, value i32 + n. Source: `RocketMQSerializable` of RocketMQ 5.5.0.

use base::limits::REMOTING_HEADER_FIELDS_MAX;
use bytes::{BufMut, BytesMut};

use super::{Command, ExtFields, FrameError, LanguageCode, SerializeType, ext_fields::Span};

pub(super) fn decode(header: &[u8]) -> Result<Command, FrameError> {
    let mut rest = header;
    let code = i16::from_be_bytes(take(&mut rest, "code")?);
    let [language] = take(&mut rest, "language")?;
    let version = i16::from_be_bytes(take(&mut rest, "version")?);
    let opaque = i32::from_be_bytes(take(&mut rest, "opaque")?);
    let flag = i32::from_be_bytes(take(&mut rest, "flag")?);
    let remark_len = i32::from_be_bytes(take(&mut rest, "remark length")?);
    let remark = take_text(&mut rest, remark_len.into(), "remark")?;
    let fields_len = i32::from_be_bytes(take(&mut rest, "fields length")?);
    let fields = take_slice(&mut rest, fields_len.into(), "fields")?;
    // Bytes after the fields are left to future versions.
    Ok(Command {
        code: code.into(),
        language: LanguageCode::from_byte(language),
        version: version.into(),
        opaque,
        flag,
        remark: (!remark.is_empty()).then(|| remark.to_owned()),
        fields: decode_fields(fields)?,
        serialize_type: SerializeType::RocketMq,
        ..Command::default()
    })
}

/// Takes all fields over with one copy and one look at whether they are UTF-8: the lengths between
/// them are overwritten with zeros, which are text, so the whole is UTF-8 if and only if every name
/// and every value is.
fn decode_fields(fields: &[u8]) -> Result<ExtFields, FrameError> {
    if fields.is_empty() {
        return Ok(ExtFields::new());
    }
    let mut text = fields.to_vec();
    // Send requests, the bulk of all, have 13 to 17 fields.
    let mut spans = Vec::with_capacity(16);
    let mut rest = fields;
    while !rest.is_empty() {
        if spans.len() == REMOTING_HEADER_FIELDS_MAX {
            return Err(FrameError::FieldCount {
                max: REMOTING_HEADER_FIELDS_MAX,
            });
        }
        let start = fields.len() - rest.len();
        let name_len = i16::from_be_bytes(take(&mut rest, "field name length")?);
        let name_len = take_slice(&mut rest, name_len.into(), "field name")?.len();
        let value_len = i32::from_be_bytes(take(&mut rest, "field value length")?);
        let value_len = take_slice(&mut rest, value_len.into(), "field value")?.len();
        let name = (start + 2, start + 2 + name_len);
        let value = (name.1 + 4, name.1 + 4 + value_len);
        text[start..name.0].fill(0);
        text[name.1..value.0].fill(0);
        spans.push(Span {
            name: (name.0 as u32, name.1 as u32),
            value: (value.0 as u32, value.1 as u32),
        });
    }
    match String::from_utf8(text) {
        Ok(text) => Ok(ExtFields::of_text(text, spans)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let is_name = spans
                .iter()
                .any(|span| (span.name.0 as usize..span.name.1 as usize).contains(&at));
            let field = if is_name { "field name" } else { "field value" };
            Err(FrameError::Utf8 { field })
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8], field: &'static str) -> Result<[u8; N], FrameError> {
    let (first, tail) = rest.split_first_chunk::<N>().ok_or(FrameError::Truncated {
        field,
        needed: N,
        left: rest.len(),
    })?;
    *rest = tail;
    Ok(*first)
}

fn take_slice<'a>(
    rest: &mut &'a [u8],
    length: i64,
    field: &'static str,
) -> Result<&'a [u8], FrameError> {
    let needed = usize::try_from(length).map_err(|_| FrameError::NegativeLength {
        field,
        value: length,
    })?;
    let (first, tail) = rest.split_at_checked(needed).ok_or(FrameError::Truncated {
        field,
        needed,
        left: rest.len(),
    })?;
    *rest = tail;
    Ok(first)
}

fn take_text<'a>(
    rest: &mut &'a [u8],
    length: i64,
    field: &'static str,
) -> Result<&'a str, FrameError> {
    let bytes = take_slice(rest, length, field)?;
    std::str::from_utf8(bytes).map_err(|_| FrameError::Utf8 { field })
}

pub(super) fn encode(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    let code = i16::try_from(command.code).map_err(|_| FrameError::Code(command.code))?;
    out.put_i16(code);
    out.put_u8(command.language.byte());
    // The field has 16 bits and nobody decides by the rest.
    out.put_i16(command.version as i16);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    put_text(command.remark.as_deref().unwrap_or_default(), "remark", out)?;

    let length_at = out.len();
    out.put_i32(0);
    for (name, value) in command.fields.iter() {
        let name_len = i16::try_from(name.len()).map_err(|_| FrameError::Encode {
            what: "field name",
            length: name.len(),
            max: i16::MAX as usize,
        })?;
        out.put_i16(name_len);
        out.put_slice(name.as_bytes());
        put_text(value, "field value", out)?;
    }
    let length = out.len() - length_at - 4;
    let length = i32::try_from(length).map_err(|_| too_long("fields", length))?;
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn put_text(text: &str, what: &'static str, out: &mut BytesMut) -> Result<(), FrameError> {
    let length = i32::try_from(text.len()).map_err(|_| too_long(what, text.len()))?;
    out.put_i32(length);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn too_long(what: &'static str, length: usize) -> FrameError {
    FrameError::Encode {
        what,
        length,
        max: i32::MAX as usize,
    }
}
