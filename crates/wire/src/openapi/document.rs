//! Answers, as JSON or as XML: the same tree in both, where XML has an element for each field and
//! repeats it for each item of a list.

use serde_json::{Map, Value};

use crate::ons_http::xml::push_element;

/// What a request is refused with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer<'a> {
    /// The request.
    pub request_id: &'a str,
    /// The server, as the client calls it.
    pub host_id: &'a str,
    /// The API's word for what is wrong.
    pub code: &'a str,
    /// In words.
    pub message: &'a str,
    /// Where to read more.
    pub recommend: &'a str,
}

impl ErrorAnswer<'_> {
    fn fields(&self) -> [(&'static str, &str); 5] {
        [
            ("RequestId", self.request_id),
            ("HostId", self.host_id),
            ("Code", self.code),
            ("Message", self.message),
            ("Recommend", self.recommend),
        ]
    }

    /// As JSON.
    pub fn json(&self) -> String {
        let fields = self
            .fields()
            .map(|(name, text)| (name.to_owned(), Value::from(text)));
        Value::Object(fields.into_iter().collect()).to_string()
    }

    /// As XML, in an element `Error`.
    pub fn xml(&self) -> String {
        let mut out = format!("{HEAD}<Error>");
        for (name, text) in self.fields() {
            push_element(&mut out, name, text);
        }
        out.push_str("</Error>");
        out
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

/// An answer as JSON.
pub fn json_document(request_id: &str, mut fields: Map<String, Value>) -> String {
    fields.insert("RequestId".to_owned(), Value::from(request_id));
    Value::Object(fields).to_string()
}

/// An answer as XML: an element named after the operation. Texts that XML cannot hold become
/// U+FFFD; values that are null are not written.
pub fn xml_document(operation: &str, request_id: &str, fields: &Map<String, Value>) -> String {
    let mut out = format!("{HEAD}<{operation}Response>");
    push_element(&mut out, "RequestId", request_id);
    for (name, value) in fields {
        push_value(&mut out, name, value);
    }
    out.push_str(&format!("</{operation}Response>"));
    out
}

/// Our own answers are a few levels deep; nothing that a client sends is written here as a tree.
fn push_value(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(value) => push_element(out, name, if *value { "true" } else { "false" }),
        Value::Number(number) => push_element(out, name, &number.to_string()),
        Value::String(text) => push_element(out, name, text),
        Value::Array(items) => {
            for item in items {
                push_value(out, name, item);
            }
        }
        Value::Object(fields) => {
            for part in ["<", name, ">"] {
                out.push_str(part);
            }
            for (name, value) in fields {
                push_value(out, name, value);
            }
            for part in ["</", name, ">"] {
                out.push_str(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_its_element_repeated() {
        let Value::Object(fields) = json!({
            "Data": { "RegionDo": [{ "Id": 1, "RegionName": "<r>" }, { "Id": 2, "Gone": null }] },
            "Online": true,
        }) else {
            panic!("it is an object");
        };
        assert_eq!(
            xml_document("OnsRegionList", "r1", &fields),
            format!(
                "{HEAD}<OnsRegionListResponse><RequestId>r1</RequestId><Data><RegionDo><Id>1</Id>\
                 <RegionName>&lt;r&gt;</RegionName></RegionDo><RegionDo><Id>2</Id></RegionDo>\
                 </Data><Online>true</Online></OnsRegionListResponse>"
            )
        );
        let json: Value = serde_json::from_str(&json_document("r1", fields)).unwrap();
        assert_eq!(json["RequestId"], "r1");
        assert_eq!(json["Data"]["RegionDo"][1]["Id"], 2);
    }

    #[test]
    fn errors_have_five_fields() {
        let error = ErrorAnswer {
            request_id: "r",
            host_id: "h",
            code: "C",
            message: "a & b",
            recommend: "",
        };
        assert_eq!(
            error.xml(),
            format!(
                "{HEAD}<Error><RequestId>r</RequestId><HostId>h</HostId><Code>C</Code>\
                 <Message>a &amp; b</Message><Recommend></Recommend></Error>"
            )
        );
        let json: Value = serde_json::from_str(&error.json()).unwrap();
        let expected = json!({
            "RequestId": "r", "HostId": "h", "Code": "C", "Message": "a & b", "Recommend": "",
        });
        assert_eq!(json, expected);
    }
}
