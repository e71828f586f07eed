//! Where a request comes from: an address, or a range of them.

use std::{fmt, net::IpAddr, str::FromStr};

/// One address, or those whose first bits agree (`10.0.0.0/8`). The text is kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRange {
    text: String,
    address: IpAddr,
    bits: u8,
}

/// A text is neither an address nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source `{text}` is neither an address nor a range such as 10.0.0.0/8")]
pub struct SourceError {
    /// First characters of the text.
    pub text: String,
}

impl SourceRange {
    /// Whether `source` is in it. An address of version 4 in the form of version 6 is the former.
    pub(super) fn contains(&self, source: IpAddr) -> bool {
        match (self.address, source.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(source)) => {
                let ignored = 32 - u32::from(self.bits);
                let differing = u32::from(range) ^ u32::from(source);
                differing.checked_shr(ignored).unwrap_or(0) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(source)) => {
                let ignored = 128 - u32::from(self.bits);
                let differing = u128::from(range) ^ u128::from(source);
                differing.checked_shr(ignored).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for SourceRange {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let wrong = || SourceError {
            text: text.chars().take(64).collect(),
        };
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(all);
        if bits > all {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            address,
            bits,
        })
    }
}

impl fmt::Display for SourceRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_the_addresses_whose_first_bits_agree() {
        for (range, source, inside) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/31", "10.1.2.2", true),
            ("10.1.2.3/31", "10.1.2.4", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("::/0", "fe00::1", true),
            ("::1", "::1", true),
        ] {
            let source: IpAddr = source.parse().unwrap();
            let range: SourceRange = range.parse().unwrap();
            assert_eq!(range.contains(source), inside, "{range} {source}");
        }
        for wrong in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/8/9",
            "host",
            "1.2.3.*",
        ] {
            assert_eq!(wrong.parse::<SourceRange>().unwrap_err().text, wrong);
        }
    }
}
