use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::*;

fn answers(input: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    frames(input, &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    assert!(output.is_empty() || output.ends_with('\n'));
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_line_has_one_answer() {
    let good = "08001000180020002a0c0a0474797065120470696e67";
    let input = format!("{good}\n\nxy\n0\n  {} \r\n{good}", good.to_uppercase());
    let answers = answers(input.as_bytes());
    let verdicts: Vec<&Value> = answers.iter().map(|answer| &answer["ok"]).collect();
    assert_eq!(verdicts, [true, false, false, false, true, true]);
    assert_eq!(answers[0], answers[4]);
    assert_eq!(
        answers[0],
        json!({
            "ok": true,
            "frame": {
                "SeqID": 0, "LogID": 0, "service": 0, "method": 0,
                "headers": [{"key": "type", "value": "ping"}],
                "payload_encoding": null, "payload_type": null,
                "payload_hex": null, "LogIDNew": null,
            },
            "canonical_hex": good,
        })
    );
    assert_eq!(answers[2]["error"], "not hex: 'x' in column 1");
    assert_eq!(answers[3]["error"], "not hex: an odd number of digits");
}

#[test]
fn no_input_has_no_answers() {
    assert_eq!(answers(b""), Vec::<Value>::new());
}

#[test]
fn a_line_beyond_the_limit_is_refused_and_the_next_is_read() {
    for (input, lengths) in [
        (&b"1234\n12345\n123\n"[..], &["4", "too long", "3"][..]),
        (b"12345\n\n", &["too long", "0"]),
        (b"1234", &["4"]),
        (b"123456789012345", &["too long"]),
    ] {
        let mut output = Vec::new();
        answer_lines(input, &mut output, 4, |line, answer| {
            answer.extend_from_slice(line.len().to_string().as_bytes());
        })
        .unwrap();
        let output = String::from_utf8(output).unwrap();
        let refusal = r#"{"ok":false,"error":"line longer than 4 bytes"}"#;
        let output = output.replace(refusal, "too long");
        assert_eq!(output.lines().collect::<Vec<_>>(), lengths, "{input:?}");
    }
}

/// Hands out one piece a read, and notes what had been written by then.
struct SlowPipe {
    pieces: Vec<&'static [u8]>,
    written: Rc<RefCell<Vec<u8>>>,
    seen: Rc<RefCell<Vec<usize>>>,
}

impl Read for SlowPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let lines = self
            .written
            .borrow()
            .iter()
            .filter(|b| **b == b'\n')
            .count();
        self.seen.borrow_mut().push(lines);
        if self.pieces.is_empty() {
            return Ok(0);
        }
        let piece = self.pieces.remove(0);
        buffer[..piece.len()].copy_from_slice(piece);
        Ok(piece.len())
    }
}

struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_answer_waits_for_the_next_line() {
    let written = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::new(RefCell::new(Vec::new()));
    let input = SlowPipe {
        pieces: vec![b"00\n00\n0", b"0", b"\n"],
        written: Rc::clone(&written),
        seen: Rc::clone(&seen),
    };
    frames(input, Shared(Rc::clone(&written))).unwrap();
    assert_eq!(*seen.borrow(), [0, 2, 2, 3]);
}

struct ClosedPipe;

impl Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    assert!(frames(&b"00\n00\n"[..], ClosedPipe).is_ok());
}
