//! Pages: numbered from 1. Numbers and sizes beyond what there may be are brought back into it, as
//! the service does.

use serde_json::{Value, json};
use wire::openapi::date_time;

use base::Timestamp;

use super::call::Call;

/// Items of a page of which a request does not say how large.
const SIZE_DEFAULT: i64 = 10;
/// The largest page, but of instances.
pub(super) const SIZE_MAX: i64 = 100;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) number: i64,
    pub(super) size: i64,
}

impl Page {
    /// From the parameters of a request.
    pub(super) fn of(call: &Call, least: i64, most: i64) -> Self {
        let (number, size) = (call.integer("pageNumber"), call.integer("pageSize"));
        Self {
            number: number.unwrap_or(1).max(1),
            size: size.unwrap_or(SIZE_DEFAULT).clamp(least, most),
        }
    }

    /// How many items come before it.
    pub(super) fn skipped(self) -> u64 {
        let skipped = (self.number - 1).saturating_mul(self.size);
        skipped.cast_unsigned()
    }

    /// The answer with its part of `all`.
    pub(super) fn of_all<T>(self, all: &[T], shown: impl Fn(&T) -> Value) -> Value {
        let skipped = usize::try_from(self.skipped()).unwrap_or(usize::MAX);
        let size = usize::try_from(self.size).unwrap_or(0);
        let list = all.iter().skip(skipped).take(size).map(shown).collect();
        self.answer(list, all.len() as u64)
    }

    /// The answer with items that are its part of so many.
    pub(super) fn answer(self, list: Vec<Value>, total: u64) -> Value {
        json!({
            "list": list,
            "pageNumber": self.number,
            "pageSize": self.size,
            "totalCount": total,
        })
    }
}

/// A time in an answer, empty where it is not known.
pub(super) fn shown_time(time: Option<Timestamp>) -> String {
    time.map_or(String::new(), |time| date_time(time.ms()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_its_part_of_all() {
        let all = [1, 2, 3, 4, 5];
        let page = Page { number: 2, size: 2 };
        let answer = page.of_all(&all, |number| json!(number));
        assert_eq!(answer["list"], json!([3, 4]));
        assert_eq!(
            (&answer["totalCount"], &answer["pageSize"]),
            (&json!(5), &json!(2))
        );
        let far = Page {
            number: i64::MAX,
            size: 100,
        };
        assert_eq!(far.of_all(&all, |number| json!(number))["list"], json!([]));
    }
}
