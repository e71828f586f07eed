//! What a system-call trace of one send says: when its bytes were on the disk, and when the reply
//! left.
//!
//! Reads the output of `strace -f -xx -y`. Its lines stand in the order in which calls began; a
//! call that another thread's line interrupts is split into an `<unfinished ...>` and a `resumed`
//! line. So line numbers tell what had ended before what began.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};

use super::outlet::Protocol;

/// A system call, by the lines on which it began and ended.
#[derive(Debug, PartialEq, Eq)]
struct Call<'a> {
    name: &'a str,
    began: usize,
    /// None if the trace ends before it.
    ended: Option<usize>,
    /// First argument: number and, in angle brackets, what it stands for.
    file: String,
    /// The string arguments, joined.
    bytes: Vec<u8>,
    succeeded: bool,
}

/// Lines of the trace that prove the order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// The file that the message was written to.
    pub(super) file: String,
    /// End of the write that holds the message.
    pub(super) written: usize,
    /// End of the synchronisation after it.
    pub(super) durable: usize,
    /// Begin of the write of the reply to the client's socket.
    pub(super) replied: usize,
}

/// Finds the send of the one message that holds `marker`, and checks that it was durable before the
/// reply.
///
/// # Errors
/// When the reply began before a successful `fdatasync` of the written file had ended, or the trace
/// does not show the whole send.
pub(super) fn check(trace: &str, marker: &[u8], protocol: Protocol) -> Result<Evidence> {
    let calls = calls(trace)?;
    let request = calls
        .iter()
        .find(|call| is_socket(&call.file) && reads(call.name) && call.holds(marker))
        .context("no socket read holds the message")?;
    let request_ended = request
        .ended
        .context("the read of the request has no end")?;
    let written = calls
        .iter()
        .find(|call| !is_socket(&call.file) && writes(call.name) && call.holds(marker))
        .context("no write to a file holds the message")?;
    ensure!(written.succeeded, "the write to {} failed", written.file);
    let written_ended = written
        .ended
        .context("the write of the message has no end")?;
    let reply = calls
        .iter()
        .find(|call| {
            call.file == request.file
                && call.began > request_ended
                && writes(call.name)
                && is_reply(&call.bytes, protocol)
        })
        .context("no reply on the socket of the request")?;
    let durable = calls.iter().filter(|call| {
        call.file == written.file
            && matches!(call.name, "fdatasync" | "fsync")
            && call.began > written_ended
            && call.succeeded
    });
    let durable = durable.filter_map(|call| call.ended).min();
    let Some(durable) = durable.filter(|ended| *ended < reply.began) else {
        bail!(
            "the reply began on line {} of the trace, but {} was written on line {written_ended} \
             and synchronised on {durable:?}",
            reply.began,
            written.file
        );
    };
    Ok(Evidence {
        file: readable(&written.file),
        written: written_ended,
        durable,
        replied: reply.began,
    })
}

impl Call<'_> {
    fn holds(&self, marker: &[u8]) -> bool {
        self.bytes
            .windows(marker.len())
            .any(|window| window == marker)
    }
}

fn is_socket(file: &str) -> bool {
    file.contains("<TCP:") || file.contains("<socket:") || file.contains("<TCPv6:")
}

fn reads(name: &str) -> bool {
    matches!(name, "read" | "readv" | "recvfrom" | "recvmsg")
}

fn writes(name: &str) -> bool {
    matches!(
        name,
        "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" | "sendto" | "sendmsg"
    )
}

/// Whether bytes on the socket are the reply. HTTP/2 also sends settings, window updates and pings
/// on its own account: only headers and data answer a request.
fn is_reply(bytes: &[u8], protocol: Protocol) -> bool {
    match protocol {
        Protocol::Remoting => !bytes.is_empty(),
        Protocol::Grpc => {
            const HEADER_BYTES: usize = 9;
            const DATA: u8 = 0;
            const HEADERS: u8 = 1;
            let mut rest = bytes;
            while let Some((header, after)) = rest.split_at_checked(HEADER_BYTES) {
                let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
                if stream != 0 && matches!(header[3], DATA | HEADERS) {
                    return true;
                }
                let len = usize::from(header[0]) << 16
                    | usize::from(header[1]) << 8
                    | usize::from(header[2]);
                rest = after.get(len..).unwrap_or_default();
            }
            false
        }
    }
}

/// The calls of a trace, in the order in which they began.
fn calls(trace: &str) -> Result<Vec<Call<'_>>> {
    let mut calls: Vec<Call<'_>> = Vec::new();
    let mut unfinished: HashMap<&str, (usize, String)> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if text.starts_with(['-', '+']) {
            continue;
        }
        if let Some(begin) = text.strip_suffix(" <unfinished ...>") {
            calls.push(call(number, None, begin)?);
            unfinished.insert(thread, (calls.len() - 1, begin.to_owned()));
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let (_, rest) = rest.split_once(" resumed>").context("a resumed line")?;
            // The call may have begun before the trace did.
            if let Some((index, begin)) = unfinished.remove(thread) {
                let began = calls[index].began;
                let whole = format!("{begin}{rest}");
                let read = call(began, Some(number), &whole)?;
                calls[index].ended = read.ended;
                calls[index].bytes = read.bytes;
                calls[index].succeeded = read.succeeded;
            }
        } else if text.contains('(') {
            calls.push(call(number, Some(number), text)?);
        }
    }
    Ok(calls)
}

fn call<'a>(began: usize, ended: Option<usize>, text: &str) -> Result<Call<'a>> {
    let (name, arguments) = text.split_once('(').context("a call without arguments")?;
    let file = file_argument(arguments);
    // The name of a file is written like a string.
    let data = arguments.get(file.len()..).unwrap_or_default();
    let result = arguments.rsplit_once(" = ").map(|(_, result)| result);
    Ok(Call {
        name: known_name(name),
        began,
        ended,
        file,
        bytes: string_bytes(data),
        succeeded: result.is_some_and(|result| !result.starts_with(['-', '?'])),
    })
}

/// The calls that matter here; all others are alike.
fn known_name(name: &str) -> &'static str {
    const NAMES: &[&str] = &[
        "read",
        "readv",
        "recvfrom",
        "recvmsg",
        "write",
        "writev",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "sendto",
        "sendmsg",
        "fdatasync",
        "fsync",
    ];
    NAMES
        .iter()
        .find(|known| **known == name)
        .copied()
        .unwrap_or("other")
}

/// The first argument with its description, which ends with the last `>` before a comma or the end.
fn file_argument(arguments: &str) -> String {
    let mut depth = 0_u32;
    for (at, character) in arguments.char_indices() {
        let before = &arguments[..at];
        match character {
            '<' => depth += 1,
            // In `TCP:[a->b]` the arrow closes nothing.
            '>' if !before.ends_with('-') => depth = depth.saturating_sub(1),
            ',' | ')' | ' ' if depth == 0 => return before.to_owned(),
            _ => {}
        }
    }
    arguments.to_owned()
}

/// A file with its name in letters, where the trace has it in hexadecimal digits.
fn readable(file: &str) -> String {
    match file.split_once("<\\x") {
        None => file.to_owned(),
        Some((number, _)) => {
            format!("{number}<{}>", String::from_utf8_lossy(&string_bytes(file)))
        }
    }
}

/// The bytes of all string arguments, which `-xx` writes as `"\x01\x02"`.
fn string_bytes(arguments: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for escaped in arguments.split("\\x").skip(1) {
        if let Some(Ok(byte)) = escaped
            .get(..2)
            .map(|digits| u8::from_str_radix(digits, 16))
        {
            bytes.push(byte);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: &[u8] = b"key";
    const REQUEST: &str = r#"7 recvfrom(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x00\x6b\x65\x79", 64, 0, NULL, NULL) = 4"#;
    const WRITE: &str = r#"8 pwrite64(5</data/0.log>, "\x6b\x65\x79\x00", 4, 0) = 4"#;
    const SYNC: &str = "8 fdatasync(5</data/0.log>) = 0";
    const REPLY: &str =
        r#"7 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x00\x00", 2, 0, NULL, 0) = 2"#;

    fn verdict(lines: &[&str]) -> Result<Evidence> {
        check(&lines.join("\n"), MARKER, Protocol::Remoting)
    }

    #[test]
    fn durable_before_the_reply_passes() {
        let evidence = verdict(&[REQUEST, WRITE, SYNC, REPLY]).expect("in order");
        let expected = Evidence {
            file: "5</data/0.log>".to_owned(),
            written: 1,
            durable: 2,
            replied: 3,
        };
        assert_eq!(evidence, expected);
    }

    #[test]
    fn split_lines_are_joined() {
        let begin = "8 fdatasync(5</data/0.log> <unfinished ...>";
        let other = "9 read(3<pipe:[1]>, \"\\x01\", 1) = 1";
        let end = "8 <... fdatasync resumed>) = 0";
        let evidence = verdict(&[REQUEST, WRITE, begin, other, end, REPLY]).expect("in order");
        assert_eq!((evidence.durable, evidence.replied), (4, 5));
        verdict(&[REQUEST, WRITE, begin, REPLY, end]).expect_err("the reply overtook");
        verdict(&[REQUEST, WRITE, begin, REPLY]).expect_err("it never ended");
        let late = "7 sendto(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, \"\\x00\" <unfinished ...>";
        let late_end = "7 <... sendto resumed>, 1, 0, NULL, 0) = 1";
        verdict(&[REQUEST, WRITE, late, SYNC, late_end]).expect_err("it began before");
    }

    #[test]
    fn every_wrong_order_is_found() {
        let other_file = "8 fdatasync(6</data/1.log>) = 0";
        let failed = "8 fdatasync(5</data/0.log>) = -1 EIO (Input/output error)";
        verdict(&[REQUEST, WRITE, REPLY, SYNC]).expect_err("reply before durable");
        verdict(&[REQUEST, WRITE, REPLY]).expect_err("never durable");
        verdict(&[REQUEST, SYNC, WRITE, REPLY]).expect_err("synchronised before it was written");
        verdict(&[REQUEST, WRITE, other_file, REPLY]).expect_err("another file");
        verdict(&[REQUEST, WRITE, failed, REPLY]).expect_err("failed");
        verdict(&[WRITE, SYNC, REPLY]).expect_err("no request");
        verdict(&[REQUEST, SYNC, REPLY]).expect_err("no write");
        verdict(&[REQUEST, WRITE, SYNC]).expect_err("no reply");
        let another_socket = REPLY.replace("9<", "10<");
        verdict(&[REQUEST, WRITE, SYNC, &another_socket]).expect_err("another client's reply");
    }

    #[test]
    fn http2_replies_are_told_from_its_own_frames() {
        let ping = [0, 0, 8, 6, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        let window = [0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 9];
        let headers = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
        assert!(!is_reply(&ping, Protocol::Grpc));
        assert!(!is_reply(
            &[ping.as_slice(), &window].concat(),
            Protocol::Grpc
        ));
        assert!(is_reply(
            &[window.as_slice(), &ping, &headers].concat(),
            Protocol::Grpc
        ));
    }
}
