//! Flat parameters, and the lists that are flattened into them: `ResourceId.1=a&Tag.1.Key=k`.

use std::collections::BTreeMap;

use base::limits;

use super::shortened;
use crate::percent;

/// Why parameters are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// A part is no text.
    #[error("malformed percent escape in `{start}`")]
    Escape {
        /// Where.
        start: String,
    },
    /// A parameter is there twice, and could mean either.
    #[error("parameter `{name}` is there more than once")]
    Twice {
        /// Its name.
        name: String,
    },
    /// More parameters than a request may have.
    #[error("request has more than {max} parameters", max = limits::OPENAPI_PARAMETERS_MAX)]
    TooMany,
}

/// The parameters of one request, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Adds what a query or a form (`application/x-www-form-urlencoded`) holds.
    ///
    /// # Errors
    /// When a part is no text, a name is there already, or there are too many.
    pub fn extend(&mut self, text: &str) -> Result<(), ParameterError> {
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if self.0.contains_key(&name) {
                let name = shortened(&name);
                return Err(ParameterError::Twice { name });
            }
            if self.0.len() >= limits::OPENAPI_PARAMETERS_MAX {
                return Err(ParameterError::TooMany);
            }
            self.0.insert(name, value);
        }
        Ok(())
    }

    /// The value of a parameter. One that is empty counts as not there: generated clients send
    /// those that nobody set so.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// The values of a list `name.1`, `name.2` and so on, in their order, up to the first number
    /// that is not there.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let item = |number: usize| self.get(&format!("{name}.{number}"));
        (1..).map_while(item).collect()
    }

    /// The values of a list of pairs `name.1.first`, `name.1.second` and so on, up to the first
    /// number of which neither is there.
    pub fn pairs(&self, name: &str, first: &str, second: &str) -> Vec<(Option<&str>, &str)> {
        let pair = |number: usize| {
            let part = |part: &str| self.0.get(&format!("{name}.{number}.{part}"));
            let (first, second) = (part(first), part(second));
            if first.is_none() && second.is_none() {
                return None;
            }
            let first = first.map(String::as_str).filter(|text| !text.is_empty());
            Some((first, second.map_or("", String::as_str)))
        };
        (1..).map_while(pair).collect()
    }

    /// All of them, by the bytes of their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn decoded(text: &str) -> Result<String, ParameterError> {
    percent::decoded(&text.replace('+', " ")).ok_or_else(|| ParameterError::Escape {
        start: shortened(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parameters, ParameterError> {
        let mut parameters = Parameters::default();
        parameters.extend(text)?;
        Ok(parameters)
    }

    #[test]
    fn lists_are_read_as_clients_flatten_them() {
        let text = "ResourceId.1=t1&ResourceId.2=t%2F2&ResourceId.4=t4&Tag.1.Key=k&Tag.1.Value=v+w\
                    &Tag.2.Key=only&Tag.3.Value=v&All=True&Remark=";
        let read = read(text).unwrap();
        assert_eq!(read.list("ResourceId"), ["t1", "t/2"]);
        let tags = read.pairs("Tag", "Key", "Value");
        assert_eq!(tags, [(Some("k"), "v w"), (Some("only"), ""), (None, "v")]);
        assert_eq!((read.get("All"), read.get("Remark")), (Some("True"), None));
        assert!(read.list("Tag").is_empty());
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        let twice = ParameterError::Twice {
            name: "Topic".to_owned(),
        };
        assert_eq!(read("Topic=a&Topic=b"), Err(twice.clone()));
        let mut both = read("Topic=a").unwrap();
        assert_eq!(both.extend("%54opic=b"), Err(twice));
        for wrong in ["a=%", "a=%4", "a=%zz", "%ff=a", "a=%ff"] {
            assert!(
                matches!(read(wrong), Err(ParameterError::Escape { .. })),
                "{wrong}"
            );
        }
        let many: String = (0..=limits::OPENAPI_PARAMETERS_MAX)
            .map(|n| format!("p{n}=1&"))
            .collect();
        assert_eq!(read(&many), Err(ParameterError::TooMany));
    }
}
