//! What makes an ack count.
//!
//! The frame that was pushed comes back: same ids, service and `LogIDNew`, all
//! headers in their order, `biz_rt` among them, and a payload
//! `{"code":200,"data":base64 of JSON}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto_core::Frame;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::frames::SentFrame;

/// A push that waits.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) parts: Vec<SentFrame>,
    /// Whether all parts were sent; else no ack can be right.
    pub(super) is_whole: bool,
    pub(super) done: oneshot::Sender<Answer>,
}

/// What a client answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// 200, 500, ….
    pub(crate) code: i64,
    /// The JSON behind `data`.
    pub(crate) data: Option<Value>,
    /// When it came.
    pub(crate) at: Instant,
}

/// Why an ack does not count.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) rule: &'static str,
    pub(super) detail: String,
}

/// An ack that counts, and oddities that the platform lets pass.
#[derive(Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) answer: Answer,
    pub(super) quirks: Vec<(&'static str, String)>,
}

/// Judges an ack against what was pushed.
pub(super) fn check(frame: &Frame<'_>, pending: &Pending) -> Result<Checked, Fault> {
    let mut quirks = Vec::new();
    if !pending.is_whole {
        return Err(fault(
            "ack_incomplete",
            "a part of this event was never sent",
        ));
    }
    let seq = frame.header("seq").unwrap_or_default();
    let sent = pending
        .parts
        .iter()
        .find(|part| part.header("seq") == Some(seq))
        .ok_or_else(|| fault("ack_headers", format!("no part with seq {seq:?} was sent")))?;

    for (name, sent, got) in [
        ("SeqID", sent.seq_id, frame.seq_id),
        ("LogID", sent.log_id, frame.log_id),
    ] {
        if sent == got {
            continue;
        }
        if is_rounded(sent, got) {
            quirks.push(("rounded_id", format!("{name} {sent} came back as {got}")));
        } else {
            return Err(fault(
                "ack_ids",
                format!("{name} was {sent}, the ack has {got}"),
            ));
        }
    }
    if frame.service != sent.service {
        return Err(fault(
            "ack_ids",
            format!(
                "service was {}, the ack has {}",
                sent.service, frame.service
            ),
        ));
    }
    if frame.log_id_new().unwrap_or_default() != sent.log_id_new {
        return Err(fault("ack_ids", "LogIDNew differs"));
    }
    check_headers(frame, sent)?;
    let answer = payload(frame)?;
    check_biz_rt(frame, answer.code, &mut quirks)?;
    Ok(Checked { answer, quirks })
}

/// All headers that were sent, in their order; others may stand between.
fn check_headers(frame: &Frame<'_>, sent: &SentFrame) -> Result<(), Fault> {
    let mut got = frame.headers();
    for (key, value) in &sent.headers {
        if !got.any(|header| header.key == key && header.value == value) {
            return Err(fault(
                "ack_headers",
                format!("header {key} is missing, changed or out of order"),
            ));
        }
    }
    Ok(())
}

fn check_biz_rt(
    frame: &Frame<'_>,
    code: i64,
    quirks: &mut Vec<(&'static str, String)>,
) -> Result<(), Fault> {
    match frame.header("biz_rt") {
        // The official Python client leaves it out on failure.
        None if code != 200 => Ok(()),
        None => Err(fault("ack_biz_rt", "biz_rt is missing")),
        Some(text) if is_decimal(text) => Ok(()),
        // The official Node client subtracts the wrong way round.
        Some(text) if text.strip_prefix('-').is_some_and(is_decimal) => {
            quirks.push(("negative_biz_rt", text.to_owned()));
            Ok(())
        }
        Some(text) => Err(fault("ack_biz_rt", format!("biz_rt {text:?} is no number"))),
    }
}

fn payload(frame: &Frame<'_>) -> Result<Answer, Fault> {
    let bad = |detail: &str| fault("ack_payload", detail);
    let bytes = frame.payload.ok_or_else(|| bad("there is no payload"))?;
    let value: Value = serde_json::from_slice(bytes).map_err(|_| bad("payload is not JSON"))?;
    let code = value
        .get("code")
        .and_then(Value::as_i64)
        .ok_or_else(|| bad("there is no integer code"))?;
    let data = match value.get("data") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() => None,
        Some(Value::String(text)) => {
            let json = STANDARD
                .decode(text)
                .map_err(|_| bad("data is not standard padded base64"))?;
            Some(serde_json::from_slice(&json).map_err(|_| bad("data is not base64 of JSON"))?)
        }
        Some(_) => return Err(bad("data must be a string (base64 of JSON) or null")),
    };
    Ok(Answer {
        code,
        data,
        at: Instant::now(),
    })
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `got` is `sent` after a trip through a double: the official Node
/// client rounds ids above 2^53.
#[expect(clippy::cast_precision_loss, reason = "the loss is what is looked for")]
fn is_rounded(sent: u64, got: u64) -> bool {
    sent > (1 << 53) && (sent as f64).total_cmp(&(got as f64)).is_eq()
}

fn fault(rule: &'static str, detail: impl Into<String>) -> Fault {
    Fault {
        rule,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use proto_core::{FrameFields, Header, Limits, Method};
    use serde_json::json;

    use super::*;

    fn sent() -> SentFrame {
        SentFrame {
            seq_id: 9_007_199_254_740_993,
            log_id: 0,
            service: 7,
            log_id_new: "log".into(),
            headers: [
                ("type", "event"),
                ("message_id", "m"),
                ("seq", "0"),
                ("x", "y"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        }
    }

    struct Case<'a> {
        seq_id: u64,
        headers: Vec<(&'a str, &'a str)>,
        payload: &'a str,
        log_id_new: &'a str,
    }

    fn good() -> Case<'static> {
        Case {
            seq_id: 9_007_199_254_740_993,
            headers: vec![
                ("type", "event"),
                ("message_id", "m"),
                ("seq", "0"),
                ("x", "y"),
                ("biz_rt", "3"),
            ],
            payload: r#"{"code":200,"headers":null,"data":null}"#,
            log_id_new: "log",
        }
    }

    fn judge(case: &Case<'_>, is_whole: bool) -> Result<Checked, Fault> {
        let fields = FrameFields {
            seq_id: case.seq_id,
            log_id: 0,
            service: 7,
            method: Method::Data,
            payload_encoding: Some(""),
            payload_type: None,
            payload: Some(case.payload.as_bytes()),
            log_id_new: Some(case.log_id_new),
        };
        let headers = case
            .headers
            .iter()
            .map(|&(key, value)| Header { key, value });
        let mut bytes = Vec::new();
        fields.encode(headers, &mut bytes).unwrap();
        let frame = Frame::decode(&bytes, &Limits::default()).unwrap();
        let pending = Pending {
            parts: vec![sent()],
            is_whole,
            done: oneshot::channel().0,
        };
        check(&frame, &pending)
    }

    #[test]
    fn a_right_ack_counts_whatever_its_empty_fields() {
        let checked = judge(&good(), true).unwrap();
        assert_eq!((checked.answer.code, checked.answer.data), (200, None));
        assert_eq!(checked.quirks, []);
        // base64 of {"toast":1}
        let with_data = Case {
            payload: r#"{"code":200,"data":"eyJ0b2FzdCI6MX0="}"#,
            ..good()
        };
        let checked = judge(&with_data, true).unwrap();
        assert_eq!(checked.answer.data, Some(json!({"toast": 1})));
    }

    #[test]
    fn each_broken_rule_is_named() {
        for (name, case, rule) in [
            (
                "other id",
                Case {
                    seq_id: 1,
                    ..good()
                },
                "ack_ids",
            ),
            (
                "no LogIDNew",
                Case {
                    log_id_new: "",
                    ..good()
                },
                "ack_ids",
            ),
            (
                "dropped header",
                Case {
                    headers: vec![
                        ("type", "event"),
                        ("message_id", "m"),
                        ("seq", "0"),
                        ("biz_rt", "3"),
                    ],
                    ..good()
                },
                "ack_headers",
            ),
            (
                "reordered headers",
                Case {
                    headers: vec![
                        ("x", "y"),
                        ("message_id", "m"),
                        ("type", "event"),
                        ("seq", "0"),
                        ("biz_rt", "3"),
                    ],
                    ..good()
                },
                "ack_headers",
            ),
            (
                "foreign part",
                Case {
                    headers: vec![
                        ("type", "event"),
                        ("message_id", "m"),
                        ("seq", "1"),
                        ("x", "y"),
                        ("biz_rt", "3"),
                    ],
                    ..good()
                },
                "ack_headers",
            ),
            (
                "no biz_rt",
                Case {
                    headers: vec![
                        ("type", "event"),
                        ("message_id", "m"),
                        ("seq", "0"),
                        ("x", "y"),
                    ],
                    ..good()
                },
                "ack_biz_rt",
            ),
            (
                "data as a list",
                Case {
                    payload: r#"{"code":200,"data":[]}"#,
                    ..good()
                },
                "ack_payload",
            ),
            (
                "data not base64",
                Case {
                    payload: r#"{"code":200,"data":"{}"}"#,
                    ..good()
                },
                "ack_payload",
            ),
            (
                "data not JSON",
                Case {
                    payload: r#"{"code":200,"data":"aGk="}"#,
                    ..good()
                },
                "ack_payload",
            ),
            (
                "no code",
                Case {
                    payload: "{}",
                    ..good()
                },
                "ack_payload",
            ),
            (
                "not JSON",
                Case {
                    payload: "ok",
                    ..good()
                },
                "ack_payload",
            ),
        ] {
            assert_eq!(judge(&case, true).unwrap_err().rule, rule, "{name}");
        }
        assert_eq!(judge(&good(), false).unwrap_err().rule, "ack_incomplete");
    }

    #[test]
    fn oddities_of_the_official_node_client_count_but_are_noted() {
        let case = Case {
            seq_id: 9_007_199_254_740_992,
            headers: vec![
                ("type", "event"),
                ("message_id", "m"),
                ("seq", "0"),
                ("x", "y"),
                ("biz_rt", "-3"),
            ],
            ..good()
        };
        let quirks: Vec<&str> = judge(&case, true)
            .unwrap()
            .quirks
            .iter()
            .map(|quirk| quirk.0)
            .collect();
        assert_eq!(quirks, ["rounded_id", "negative_biz_rt"]);
    }

    #[test]
    fn a_failure_may_leave_biz_rt_out() {
        let case = Case {
            headers: vec![
                ("type", "event"),
                ("message_id", "m"),
                ("seq", "0"),
                ("x", "y"),
            ],
            payload: r#"{"code":500}"#,
            ..good()
        };
        assert_eq!(judge(&case, true).unwrap().answer.code, 500);
    }
}
