//! The RPC signature, version 1.0: `Signature = base64(HMAC-SHA1(secret + "&", text))`.

use super::{Parameters, push_escaped};

/// Where a request has its signature.
pub const SIGNATURE: &str = "Signature";

/// The text that is signed: the method and all parameters but the signature, in the order of their
/// names, escaped twice.
pub fn string_to_sign(method: &str, parameters: &Parameters) -> String {
    let mut joined = String::with_capacity(512);
    for (name, value) in parameters.iter().filter(|(name, _)| *name != SIGNATURE) {
        if !joined.is_empty() {
            joined.push('&');
        }
        push_escaped(&mut joined, name);
        joined.push('=');
        push_escaped(&mut joined, value);
    }
    let mut out = format!("{method}&%2F&");
    push_escaped(&mut out, &joined);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_sorted_and_escaped_twice() {
        let mut parameters = Parameters::default();
        let text = "b=x+y&a=%2F~*&Signature=abc%3D&B=";
        parameters.extend(text).unwrap();
        assert_eq!(
            string_to_sign("GET", &parameters),
            "GET&%2F&B%3D%26a%3D%252F~%252A%26b%3Dx%2520y"
        );
    }
}
