//! What commands on releases and updates have in common: they ask a fleet over the OpenAPI.

use std::sync::Arc;

use client::{OpenApiCall, OpenApiClient};
use serde_json::Value;

use crate::{cli::FleetOptions, exit::Failure, server::SystemClock};

/// Items of one page, the most that a page has.
const PAGE_SIZE: usize = 100;

/// Pages that are read of a list.
const PAGES_MAX: usize = 100;

/// A fleet that commands ask.
pub(super) struct Fleet(OpenApiClient);

impl Fleet {
    /// The one that the command line names.
    pub(super) fn of(options: &FleetOptions) -> Self {
        let credentials = options.keys.credentials();
        let clock = Arc::new(SystemClock::start());
        Self(OpenApiClient::new(&options.server, credentials, clock))
    }

    /// Asks for one operation.
    pub(super) async fn ask(&self, call: &OpenApiCall) -> Result<Value, Failure> {
        Ok(self.0.call(call).await?)
    }

    /// Asks for all pages of a list.
    pub(super) async fn list(&self, call: &OpenApiCall) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        for number in 1..=PAGES_MAX {
            let mut call = call.clone();
            call.query.push(("pageNumber", number.to_string()));
            call.query.push(("pageSize", PAGE_SIZE.to_string()));
            let mut page = self.ask(&call).await?;
            let Some(list) = page["list"].as_array_mut() else {
                break;
            };
            let count = list.len();
            items.append(list);
            if count < PAGE_SIZE {
                break;
            }
        }
        Ok(items)
    }
}

/// A field of an answer as a table shows it; `-` where there is nothing.
pub(super) fn text(answer: &Value, name: &str) -> String {
    match &answer[name] {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_shown_for_people() {
        let answer = json!({ "a": "x", "b": "", "c": true, "d": 3, "e": null });
        let shown: Vec<String> = ["a", "b", "c", "d", "e", "f"]
            .iter()
            .map(|name| text(&answer, name))
            .collect();
        assert_eq!(shown, ["x", "-", "yes", "3", "-", "-"]);
    }
}
