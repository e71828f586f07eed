//! Operations on the addresses that an instance lets in from. None at all stands for every one.

use broker::access::SourceRange;
use serde_json::{Value, json};

use super::{
    call::Call,
    page::{Page, SIZE_MAX},
    status::{Code, Refusal},
};

const ADDRESSES: &str = "ipWhitelists";

/// Addresses and ranges of a request.
pub(super) fn sources(
    texts: &[&str],
    parameter: &'static str,
) -> Result<Vec<SourceRange>, Refusal> {
    let sources = texts.iter().map(|text| {
        let source = text.parse::<SourceRange>();
        source.map_err(|error| Refusal::field(parameter, error))
    });
    sources.collect()
}

/// CreateInstanceIpWhitelist.
pub(super) async fn create(call: &Call) -> Result<Value, Refusal> {
    let added = sources(&call.texts(ADDRESSES), ADDRESSES)?;
    if added.is_empty() {
        return Err(Refusal::missing(ADDRESSES));
    }
    call.instance()?.access().add_to_whitelist(added).await?;
    Ok(json!(true))
}

/// GetInstanceIpWhitelist: those of the named addresses that are in the list, or all.
pub(super) async fn get(call: &Call) -> Result<Value, Refusal> {
    let instance = call.instance()?;
    let asked = call.texts(ADDRESSES);
    let known = instance.access().whitelist().into_iter();
    let known = known.map(|source| source.to_string());
    let known = known.filter(|text| asked.is_empty() || asked.contains(&text.as_str()));
    Ok(json!({
        "instanceId": instance.id().as_str(),
        "ipWhitelists": known.collect::<Vec<String>>(),
        "regionId": call.region(),
    }))
}

/// ListInstanceIpWhitelist: those that have the part.
pub(super) async fn list(call: &Call) -> Result<Value, Refusal> {
    let part = call.text("ipWhitelist");
    let known = call.instance()?.access().whitelist().into_iter();
    let known = known.map(|source| source.to_string());
    let known = known.filter(|text| part.is_none_or(|part| text.contains(part)));
    let known: Vec<String> = known.collect();
    let page = Page::of(call, 1, SIZE_MAX);
    Ok(page.of_all(&known, |text| json!(text)))
}

/// DeleteInstanceIpWhitelist.
pub(super) async fn delete(call: &Call) -> Result<Value, Refusal> {
    let mut texts = call.texts(ADDRESSES);
    texts.extend(call.text("ipWhitelist"));
    if texts.is_empty() {
        return Err(Refusal::missing(ADDRESSES));
    }
    let gone = sources(&texts, ADDRESSES)?;
    let instance = call.instance()?;
    if instance.access().remove_from_whitelist(&gone).await? {
        return Ok(json!(true));
    }
    let text = format!("not all of `{}` are in the list", texts.join(", "));
    Err(Refusal::new(Code::WhitelistNotFound, text))
}
