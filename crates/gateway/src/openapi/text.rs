//! The texts that people choose: remarks, and parts of names by which lists are searched.

use base::limits;

use super::{call::Call, status::Refusal};

/// The remark of a request; `None` where it has none, empty where it takes one away.
pub(super) fn remark(call: &Call) -> Result<Option<String>, Refusal> {
    if !call.has("remark") {
        return Ok(None);
    }
    let remark = call.text("remark").unwrap_or_default();
    let (length, max) = (remark.chars().count(), limits::REMARK_CHARACTERS_MAX);
    if length > max {
        let reason = format!("{length} characters, expected at most {max}");
        return Err(Refusal::field("remark", reason));
    }
    if let Some(control) = remark.chars().find(|c| c.is_control()) {
        let reason = format!("holds the control character {control:?}");
        return Err(Refusal::field("remark", reason));
    }
    Ok(Some(remark.to_owned()))
}

/// Whether one of the texts has what parameter `filter` asks for.
pub(super) fn has_part(call: &Call, texts: &[&str]) -> bool {
    let part = call.text("filter");
    part.is_none_or(|part| texts.iter().any(|text| text.contains(part)))
}
