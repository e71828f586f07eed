//! Ids of instances, in the forms of the managed service.
//!
//! | series | form |
//! | --- | --- |
//! | 4.x | `MQ_INST_<account>_<8 letters and digits>` |
//! | 5.x | `rmq-cn-<11 small letters and digits>` |
//!
//! ONS clients take what their end point begins with for the instance if it matches
//! `MQ_INST_\w+_\w+`, and put it before the names of topics and groups.

use base::{InstanceId, Random};

use crate::Series;

const LETTERS_4: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LETTERS_5: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Random characters of an id of the 4.x series.
const LENGTH_4: usize = 8;
/// Random characters of an id of the 5.x series.
const LENGTH_5: usize = 11;

/// Decimal digits of an account's number.
const ACCOUNT_DIGITS: u32 = 16;

/// An id for a new instance. Whether it is free is for the caller to find out.
pub(super) fn make(series: Series, account: u64, random: &dyn Random) -> InstanceId {
    let id = match series {
        Series::V4 => {
            let letters = letters(LETTERS_4, LENGTH_4, random);
            format!("MQ_INST_{account:016}_{letters}")
        }
        Series::V5 | Series::Any => format!("rmq-cn-{}", letters(LETTERS_5, LENGTH_5, random)),
    };
    InstanceId::new(&id).expect("made of letters that names may have, and short")
}

/// A number for an account: sixteen digits, the first of them not zero.
pub(super) fn account(random: &dyn Random) -> u64 {
    let first = 10_u64.pow(ACCOUNT_DIGITS - 1);
    first + random.below(9 * first)
}

fn letters(of: &[u8], count: usize, random: &dyn Random) -> String {
    let below = of.len() as u64;
    let letter = || char::from(of[random.below(below) as usize]);
    std::iter::repeat_with(letter).take(count).collect()
}

#[cfg(test)]
mod tests {
    use base::SeededRandom;

    use super::*;

    #[test]
    fn ids_have_the_forms_that_clients_look_for() {
        let random = SeededRandom::new(3);
        let account = account(&random);
        assert_eq!(account.to_string().len(), 16);
        let four = make(Series::V4, account, &random);
        let rest = four.as_str().strip_prefix("MQ_INST_").unwrap();
        let (uid, code) = rest.split_once('_').unwrap();
        assert_eq!(uid, account.to_string());
        assert_eq!(code.len(), 8);
        assert!(code.bytes().all(|letter| letter.is_ascii_alphanumeric()));

        let five = make(Series::V5, account, &random);
        let code = five.as_str().strip_prefix("rmq-cn-").unwrap();
        assert_eq!(code.len(), 11);
        assert_ne!(five, make(Series::V5, account, &random));
    }
}
