//! Transaction ids: what a producer shows to end the transaction of a half message.
//!
//! The id is where the half message is, in hexadecimal, so that no table must be kept and every
//! client that is asked can answer, whichever sent the message and however long ago.

use base::PhysicalOffset;
use wire::grpc_v2::Code;

use super::status::Refusal;

/// Hexadecimal digits of an id.
const DIGITS: usize = 16;

/// The id of the transaction of `half`.
pub(crate) fn transaction_id(half: PhysicalOffset) -> String {
    format!("{:016X}", half.wire())
}

/// The half message of a transaction.
pub(crate) fn half_message(id: &str) -> Result<PhysicalOffset, Refusal> {
    let is_plain = id.len() == DIGITS && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    let offset = u64::from_str_radix(id, 16).ok().filter(|_| is_plain);
    let offset = offset.ok_or_else(|| {
        let start: String = id.chars().take(64).collect();
        Refusal::new(
            Code::InvalidTransactionId,
            format!("transaction id {start:?} is malformed, expected one that a send returned"),
        )
    })?;
    Ok(PhysicalOffset::from_wire(offset.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_message() {
        for offset in [0, 1, i64::MAX, -1] {
            let half = PhysicalOffset::from_wire(offset);
            assert_eq!(half_message(&transaction_id(half)), Ok(half));
        }
        for bad in [
            "",
            "12",
            "+000000000000001",
            "000000000000000G",
            "0".repeat(17).as_str(),
        ] {
            let refusal = half_message(bad).unwrap_err();
            assert_eq!(refusal.code(), Code::InvalidTransactionId, "{bad}");
        }
    }
}
