//! From the JSON that fastjson writes to standard JSON.
//!
//! fastjson writes numbers and whole objects as keys without quotes (`{0:"a"}`,
//! `{{"queueId":1}:2}`) and reads texts and names in single quotes or none. Here such keys become
//! texts; the text of an object key is its JSON. Everything else passes through and is checked by
//! the real parser.

/// Deepest nesting. The bodies of the protocol go to 6.
const DEPTH_MAX: usize = 64;

/// Not even lenient JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

/// Rewrites in one pass; the result has at most three times the bytes.
pub(super) fn to_standard(json: &[u8]) -> Result<Vec<u8>, NotJson> {
    let mut reader = Reader {
        rest: json,
        out: Vec::with_capacity(json.len() + json.len() / 8),
        in_key: false,
    };
    reader.value(0)?;
    reader.space();
    if !reader.rest.is_empty() {
        return Err(NotJson);
    }
    Ok(reader.out)
}

struct Reader<'a> {
    rest: &'a [u8],
    out: Vec<u8>,
    /// Inside an object that is a key. Its members must be plain: quoting what was quoted would
    /// double its length with every level, and a queue has nothing nested.
    in_key: bool,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<(), NotJson> {
        if depth == DEPTH_MAX {
            return Err(NotJson);
        }
        self.space();
        match self.peek()? {
            b'{' | b'[' if self.in_key => Err(NotJson),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' | b'\'' => self.text(),
            _ => {
                let word = self.word()?;
                self.out.extend_from_slice(word);
                Ok(())
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), NotJson> {
        self.copy();
        self.space();
        if self.peek()? == b'}' {
            self.copy();
            return Ok(());
        }
        loop {
            self.space();
            match self.peek()? {
                b'"' | b'\'' => self.text()?,
                b'{' if !self.in_key => self.object_key(depth)?,
                _ => {
                    let word = self.word()?;
                    self.out.push(b'"');
                    self.out.extend_from_slice(word);
                    self.out.push(b'"');
                }
            }
            self.space();
            self.expect(b':')?;
            self.value(depth + 1)?;
            self.space();
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), NotJson> {
        self.copy();
        self.space();
        if self.peek()? == b']' {
            self.copy();
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// An object as a key becomes a text.
    fn object_key(&mut self, depth: usize) -> Result<(), NotJson> {
        let start = self.out.len();
        self.in_key = true;
        self.object(depth)?;
        self.in_key = false;
        let object = self.out.split_off(start);
        self.out.push(b'"');
        for byte in object {
            if matches!(byte, b'"' | b'\\') {
                self.out.push(b'\\');
            }
            self.out.push(byte);
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A text in double or single quotes; comes out in double quotes.
    fn text(&mut self) -> Result<(), NotJson> {
        let quote = self.take()?;
        self.out.push(b'"');
        loop {
            match self.take()? {
                byte if byte == quote => break,
                b'\\' => match self.take()? {
                    b'\'' => self.out.push(b'\''),
                    escaped => self.out.extend_from_slice(&[b'\\', escaped]),
                },
                b'"' => self.out.extend_from_slice(b"\\\""),
                byte => self.out.push(byte),
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    /// A number, a name or a constant.
    fn word(&mut self) -> Result<&'a [u8], NotJson> {
        let is_word =
            |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.' | b'_' | b'$');
        let length = self.rest.iter().take_while(|b| is_word(b)).count();
        if length == 0 {
            return Err(NotJson);
        }
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(word)
    }

    /// Whether another member follows; copies the comma or the closing bracket.
    fn more(&mut self, close: u8) -> Result<bool, NotJson> {
        let byte = self.peek()?;
        if byte != b',' && byte != close {
            return Err(NotJson);
        }
        self.copy();
        Ok(byte == b',')
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn peek(&self) -> Result<u8, NotJson> {
        self.rest.first().copied().ok_or(NotJson)
    }

    fn take(&mut self) -> Result<u8, NotJson> {
        let (first, rest) = self.rest.split_first().ok_or(NotJson)?;
        self.rest = rest;
        Ok(*first)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), NotJson> {
        let byte = self.take()?;
        self.out.push(byte);
        if byte == wanted { Ok(()) } else { Err(NotJson) }
    }

    fn copy(&mut self) {
        if let Some((first, rest)) = self.rest.split_first() {
            self.out.push(*first);
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard(json: &str) -> Option<String> {
        let bytes = to_standard(json.as_bytes()).ok()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn keys_become_texts() {
        for (json, wanted) in [
            (r#"{0:"a",1:"b"}"#, r#"{"0":"a","1":"b"}"#),
            (
                r#"{{"q":1,"t":"x"}:{"n":0}}"#,
                r#"{"{\"q\":1,\"t\":\"x\"}":{"n":0}}"#,
            ),
            (r"{name:'it\'s \n'}", r#"{"name":"it's \n"}"#),
            (r#"{'a"b':1}"#, r#"{"a\"b":1}"#),
            (r#" [ 1 , { } , [] , null ] "#, r#"[1,{},[],null]"#),
            (r#"{"a\\":-1.5e+3}"#, r#"{"a\\":-1.5e+3}"#),
            (r#"{{"t":"{["}:1}"#, r#"{"{\"t\":\"{[\"}":1}"#),
            (r#"{{"t":"a\"b"}:1}"#, r#"{"{\"t\":\"a\\\"b\"}":1}"#),
        ] {
            assert_eq!(standard(json).as_deref(), Some(wanted), "{json}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            "",
            "{",
            "{0",
            "{0:",
            "{0:1",
            "[1,",
            "'a",
            "{}{}",
            "{:1}",
            "\"\\",
            "{{{}:1}:1}",
            "{{0:{}}:1}",
            "{{0:[]}:1}",
        ] {
            assert_eq!(standard(json), None, "{json}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        assert_eq!(standard(&"[".repeat(1_000_000)), None);
        assert_eq!(standard(&"{{".repeat(1_000_000)), None);
    }
}
