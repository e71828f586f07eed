//! Paths: which operation a method and a path stand for, and the names in the path.

use http::Method;
use wire::openapi::path_segment;

use super::{
    operations::{OPERATIONS, Operation},
    status::{Code, Refusal},
};

/// What paths of this API begin with.
const ROOTS: [&str; 11] = [
    "/instances",
    "/regions",
    "/zones",
    "/resourceTag",
    "/resourceGroup",
    "/monitor",
    "/api/v1",
    "/disaster_recovery",
    "/migrations",
    "/releases",
    "/updateTasks",
];

/// What the API of the service has besides and this server has not.
const NOT_SUPPORTED: [&str; 3] = ["/disaster_recovery", "/migrations", "/api/v1/conversations"];

/// Whether a path is one of this API.
pub(super) fn is_ours(path: &str) -> bool {
    ROOTS.iter().any(|root| is_below(path, root))
}

fn is_below(path: &str, root: &str) -> bool {
    let rest = path.strip_prefix(root);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An operation and the names in its path.
pub(super) struct Route {
    pub(super) operation: &'static Operation,
    pub(super) names: Vec<(&'static str, String)>,
}

/// The operation that a method and a path stand for.
pub(super) fn find(method: &Method, path: &str) -> Result<Route, Refusal> {
    let mut is_known = false;
    // A path that is written out comes before one with a name in its place.
    let mut operations: Vec<&'static Operation> = OPERATIONS.iter().collect();
    operations.sort_by_key(|operation| operation.path.matches('{').count());
    for operation in operations {
        let Some(names) = names_in(operation.path, path) else {
            continue;
        };
        if operation.method != method.as_str() {
            is_known = true;
            continue;
        }
        let names = names.into_iter().map(|(name, segment)| {
            let text = path_segment(segment).ok_or_else(|| {
                let start: String = segment.chars().take(64).collect();
                let text = format!("malformed percent escape in `{start}` of the path");
                Refusal::new(Code::InvalidPath, text)
            })?;
            Ok((name, text))
        });
        let names = names.collect::<Result<_, Refusal>>()?;
        return Ok(Route { operation, names });
    }
    let shown: String = path.chars().take(128).collect();
    if is_known {
        let text = format!("method {method} on {shown} is not allowed");
        return Err(Refusal::new(Code::MethodNotAllowed, text));
    }
    if NOT_SUPPORTED.iter().any(|root| is_below(path, root)) {
        let text = format!("what is at {shown} is not supported by this release");
        return Err(Refusal::new(Code::OperationNotSupported, text));
    }
    let text = format!("no operation is at {shown}");
    Err(Refusal::new(Code::InvalidAction, text))
}

/// The parts of `path` where `template` has names, if it is of that form.
fn names_in<'p>(template: &'static str, path: &'p str) -> Option<Vec<(&'static str, &'p str)>> {
    let mut names = Vec::new();
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(names),
            (Some(wanted), Some(found)) => {
                let name = wanted
                    .strip_prefix('{')
                    .and_then(|name| name.strip_suffix('}'));
                match name {
                    Some(name) if !found.is_empty() => names.push((name, found)),
                    None if wanted == found => {}
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &str) -> Result<(&'static str, Vec<String>), Code> {
        match find(method, path) {
            Ok(route) => {
                let names = route.names.into_iter().map(|(_, text)| text).collect();
                Ok((route.operation.name, names))
            }
            Err(refusal) => Err(refusal.code()),
        }
    }

    #[test]
    fn names_of_a_path_are_unescaped() {
        let (name, names) = found(&Method::GET, "/instances/rmq-1/topics/a%25b%2Fc").unwrap();
        assert_eq!((name, names[1].as_str()), ("GetTopic", "a%b/c"));
        let escape = found(&Method::GET, "/instances/rmq-1/topics/%zz");
        assert_eq!(escape, Err(Code::InvalidPath));
    }

    #[test]
    fn a_path_that_is_written_out_comes_first() {
        let base = "/api/v1/monitoring/instance-inspections";
        let report = found(&Method::GET, &format!("{base}/reports/r1")).map(|it| it.0);
        assert_ne!(report, Ok("ListInstanceInspectionRuns"));
        let (name, _) = found(&Method::GET, "/instances/rmq-1/ip/whitelists").unwrap();
        assert_eq!(name, "GetInstanceIpWhitelist");
    }

    #[test]
    fn what_is_not_there_is_told_apart() {
        assert_eq!(found(&Method::PUT, "/regions"), Err(Code::MethodNotAllowed));
        assert_eq!(found(&Method::GET, "/regions/"), Err(Code::InvalidAction));
        let later = Err(Code::OperationNotSupported);
        assert_eq!(found(&Method::GET, "/migrations/1"), later);
        assert_eq!(
            found(&Method::GET, "/migrationsx"),
            Err(Code::InvalidAction)
        );
        assert!(is_ours("/instances") && is_ours("/zones") && !is_ours("/instancesx"));
    }
}
