//! The policy document: JSON to statements, strictly.

use std::fmt;

use base::limits;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use super::{
    Origin, RamPolicyError, Request, Service,
    condition::{Condition, start},
    wildcard::matches,
};
use crate::access::Decision;

/// The only version there is.
const VERSION: &str = "1";

/// What stands before the names of everything.
const SCHEME: &str = "acs";

/// The services whose resources are here.
const SERVICES: [Service; 2] = [Service::Mq, Service::RocketMq];

/// What a statement says of resources: a service, and patterns of what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ResourcePattern {
    /// `None` is every service.
    service: Option<Service>,
    region: String,
    account: String,
    name: String,
}

impl ResourcePattern {
    fn fits(&self, request: &Request<'_>) -> bool {
        self.service
            .is_none_or(|service| service == request.service)
            && matches(&self.region, request.region)
            && matches(&self.account, request.account)
            && request
                .resources
                .iter()
                .any(|name| matches(&self.name, name))
    }
}

/// A policy document as it was written, and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) text: String,
    pub(super) statements: Vec<Statement>,
}

/// One statement, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    effect: Decision,
    /// In lower case: the case of actions does not matter.
    actions: Vec<String>,
    /// Resources of other services are left out.
    resources: Vec<ResourcePattern>,
    conditions: Vec<Condition>,
}

impl Document {
    /// Reads a document.
    pub(super) fn read(text: &str) -> Result<Self, RamPolicyError> {
        let (length, max) = (text.len(), limits::RAM_POLICY_BYTES_MAX);
        if length > max {
            return Err(RamPolicyError::TooLong { length, max });
        }
        let raw: RawDocument = serde_json::from_str(text).map_err(|error| {
            let reason = error.to_string();
            RamPolicyError::Malformed { reason }
        })?;
        if raw.version != VERSION {
            return Err(RamPolicyError::Version {
                version: start(&raw.version),
            });
        }
        if raw.statements.is_empty() {
            return Err(RamPolicyError::Empty { what: "Statement" });
        }
        let statements = raw.statements.into_iter().map(Statement::read);
        Ok(Self {
            text: text.to_owned(),
            statements: statements.collect::<Result<_, _>>()?,
        })
    }
}

impl Statement {
    fn read(raw: RawStatement) -> Result<Self, RamPolicyError> {
        let effect = match raw.effect.as_str() {
            "Allow" => Decision::Allow,
            "Deny" => Decision::Deny,
            effect => {
                return Err(RamPolicyError::Effect {
                    effect: start(effect),
                });
            }
        };
        for (what, texts) in [("Action", &raw.actions), ("Resource", &raw.resources)] {
            if texts.0.is_empty() {
                return Err(RamPolicyError::Empty { what });
            }
        }
        let (mut actions, mut resources, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for action in &raw.actions.0 {
            actions.push(action_pattern(action)?);
        }
        for resource in &raw.resources.0 {
            resources.extend(resource_pattern(resource)?);
        }
        for (operator, keys) in &raw.conditions.0 {
            if keys.0.is_empty() {
                return Err(RamPolicyError::Empty { what: "Condition" });
            }
            for (key, values) in &keys.0 {
                conditions.push(Condition::read(operator, key, &values.0)?);
            }
        }
        Ok(Self {
            effect,
            actions,
            resources,
            conditions,
        })
    }

    /// What it says to a request, if it speaks of it.
    pub(super) fn decide(&self, request: &Request<'_>, origin: &Origin) -> Option<Decision> {
        let speaks = fits(&self.actions, request.actions)
            && self.resources.iter().any(|it| it.fits(request))
            && self.conditions.iter().all(|it| it.holds(origin));
        speaks.then_some(self.effect)
    }
}

fn fits(patterns: &[String], names: &[&str]) -> bool {
    let fits = |pattern: &String| names.iter().any(|name| matches(pattern, name));
    patterns.iter().any(fits)
}

/// `mq:PUB`, `mq:*` or `*`.
fn action_pattern(action: &str) -> Result<String, RamPolicyError> {
    let is_named = action.split_once(':').is_some_and(|(service, name)| {
        let is_word = |text: &str| {
            let mut bytes = text.bytes();
            !text.is_empty() && bytes.all(|c| c.is_ascii_alphanumeric() || b"*?-_".contains(&c))
        };
        is_word(service) && is_word(name)
    });
    if action != "*" && !is_named {
        return Err(RamPolicyError::Action {
            action: start(action),
        });
    }
    Ok(action.to_ascii_lowercase())
}

/// What a resource says; `None` for one of another service.
fn resource_pattern(resource: &str) -> Result<Option<ResourcePattern>, RamPolicyError> {
    let any = || "*".to_owned();
    if resource == "*" {
        return Ok(Some(ResourcePattern {
            service: None,
            region: any(),
            account: any(),
            name: any(),
        }));
    }
    let wrong = || RamPolicyError::Resource {
        resource: start(resource),
    };
    let mut parts = resource.splitn(5, ':');
    let mut next = || parts.next().ok_or_else(wrong);
    let (scheme, service, region, account) = (next()?, next()?, next()?, next()?);
    let name = next()?;
    if scheme != SCHEME || service.is_empty() || name.is_empty() {
        return Err(wrong());
    }
    let known = SERVICES.into_iter().find(|known| known.name() == service);
    if known.is_none() && service != "*" {
        return Ok(None);
    }
    // The newer forms are told apart by region and account; the older ones never name them.
    if known != Some(Service::RocketMq) && (region != "*" || account != "*") {
        return Err(RamPolicyError::Region {
            resource: start(resource),
        });
    }
    // Some write nothing for anything.
    let pattern = |text: &str| match text {
        "" => "*".to_owned(),
        text => text.to_owned(),
    };
    Ok(Some(ResourcePattern {
        service: known,
        region: pattern(region),
        account: pattern(account),
        name: name.to_owned(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocument {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Statement")]
    statements: Vec<RawStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStatement {
    #[serde(rename = "Effect")]
    effect: String,
    #[serde(rename = "Action")]
    actions: Texts,
    #[serde(rename = "Resource")]
    resources: Texts,
    #[serde(rename = "Condition", default)]
    conditions: Pairs<Pairs<Texts>>,
}

/// One text, or a list of them.
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Texts, E> {
                Ok(Texts(vec![value.to_string()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// An object, of which no key may be there twice: one of the two would be left aside in silence.
struct Pairs<T>(Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<T>(Pairs<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Read<T> {
            type Value = Pairs<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let pairs = &mut self.0.0;
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        let text = format!("duplicate field `{}`", start(&key));
                        return Err(de::Error::custom(text));
                    }
                    pairs.push((key, value));
                }
                Ok(self.0)
            }
        }

        deserializer.deserialize_map(Read(Self::default()))
    }
}
