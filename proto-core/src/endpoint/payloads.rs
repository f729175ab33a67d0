//! The JSON of the long connection: what the endpoint answers, and the
//! intervals in a pong.
//!
//! The machine reads it with the scanner that reads events. With the feature
//! `serde` the same payloads are types for those who write them, or want them
//! read by somebody else's code.

use crate::json::{Json, JsonStr};

/// `ClientConfig` as it is on the wire, in seconds: any key may be missing, and
/// any number may be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "PascalCase", default)
)]
pub struct StatedConfig {
    /// Attempts in an outage; below 0: no limit.
    pub reconnect_count: Option<i64>,
    /// Seconds between two attempts.
    pub reconnect_interval: Option<i64>,
    /// The first wait of an outage is below so many seconds.
    pub reconnect_nonce: Option<i64>,
    /// Seconds between two pings.
    pub ping_interval: Option<i64>,
}

impl StatedConfig {
    /// The config in a pong's payload; `None` if it holds none.
    pub(crate) fn of_pong(payload: &[u8]) -> Option<Self> {
        let config = Json::parse(payload).ok()?;
        config.is_object().then(|| Self::read(config))
    }

    fn read(config: Json<'_>) -> Self {
        let seconds = |key| config.get(key).and_then(Json::as_bare_i64);
        Self {
            reconnect_count: seconds("ReconnectCount"),
            reconnect_interval: seconds("ReconnectInterval"),
            reconnect_nonce: seconds("ReconnectNonce"),
            ping_interval: seconds("PingInterval"),
        }
    }
}

/// The endpoint's answer, as far as the machine reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) code: i64,
    pub(super) url: Option<JsonStr<'a>>,
    pub(super) config: Option<StatedConfig>,
}

impl<'a> Answer<'a> {
    /// `None` where there is no code: whatever that is, it is no answer.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let body = Json::parse(body).ok()?;
        let data = body.get("data");
        Some(Self {
            code: body.get("code")?.as_bare_i64()?,
            url: data.and_then(|data| data.get_str("URL")),
            config: data
                .and_then(|data| data.get("ClientConfig"))
                .map(StatedConfig::read),
        })
    }
}

#[cfg(feature = "serde")]
pub use with_serde::{EndpointAnswer, EndpointData};

#[cfg(feature = "serde")]
mod with_serde {
    use serde::{Deserialize, Serialize};
    use serde_json_core::str::EscapedStr;

    use super::StatedConfig;
    use crate::{Buffer, BufferFull};

    /// The endpoint's whole answer. `U` is what holds the URL: `&str` or
    /// `String` to write one, and `EscapedStr` of `serde-json-core` to read one
    /// without an allocator.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct EndpointAnswer<U> {
        /// 0, or why there is no URL: see [`Refusal`](crate::Refusal).
        pub code: i64,
        /// The same for people.
        pub msg: Option<U>,
        /// Where to connect.
        pub data: Option<EndpointData<U>>,
    }

    /// What is granted.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct EndpointData<U> {
        /// A URL to dial once.
        #[serde(rename = "URL", skip_serializing_if = "Option::is_none")]
        pub url: Option<U>,
        /// The intervals to keep.
        #[serde(rename = "ClientConfig", skip_serializing_if = "Option::is_none")]
        pub client_config: Option<StatedConfig>,
    }

    impl<'a> EndpointAnswer<EscapedStr<'a>> {
        /// Reads an answer, by `serde-json-core`; `None` if it is not one.
        #[must_use]
        pub fn from_json(body: &'a [u8]) -> Option<Self> {
            /// Room for the longest text with escapes that is passed over.
            const SKIPPED_BYTES_MAX: usize = 1024;
            let mut skipped = [0; SKIPPED_BYTES_MAX];
            let (answer, _) = serde_json_core::de::from_slice_escaped(body, &mut skipped).ok()?;
            Some(answer)
        }
    }

    impl StatedConfig {
        /// Reads a pong's payload, by `serde-json-core`; `None` if it is no config.
        #[must_use]
        pub fn from_json(payload: &[u8]) -> Option<Self> {
            let (config, _) = serde_json_core::from_slice(payload).ok()?;
            Some(config)
        }

        /// Appends a pong's payload.
        ///
        /// # Errors
        /// [`BufferFull`].
        pub fn write_json(&self, out: &mut impl Buffer) -> Result<(), BufferFull> {
            /// Four names and numbers of twenty characters.
            const BYTES_MAX: usize = 192;
            let json = serde_json_core::to_vec::<_, BYTES_MAX>(self).map_err(|_| BufferFull)?;
            out.append(&json)
        }
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::option::weighted;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use serde_json_core::str::{EscapedStr, EscapedStringFragment};

    use super::*;

    fn unescaped(text: &EscapedStr<'_>) -> String {
        let mut plain = String::new();
        for fragment in text.fragments() {
            match fragment.expect("serde_json writes no other escapes") {
                EscapedStringFragment::NotEscaped(run) => plain.push_str(run),
                EscapedStringFragment::Escaped(character) => plain.push(character),
            }
        }
        plain
    }

    /// A config with any of its numbers, or `null` in the place of one, and
    /// something that nobody knows.
    fn configs() -> impl Strategy<Value = Value> {
        let seconds = weighted(
            0.8,
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from)],
        );
        (proptest::array::uniform4(seconds), weighted(0.3, strange())).prop_map(
            |(numbers, more)| {
                let names = [
                    "ReconnectCount",
                    "ReconnectInterval",
                    "ReconnectNonce",
                    "PingInterval",
                ];
                let known = names.into_iter().zip(numbers);
                let known = known.filter_map(|(name, number)| Some((String::from(name), number?)));
                known
                    .chain(more.map(|more| ("More".into(), more)))
                    .collect()
            },
        )
    }

    fn strange() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from),
            Just(json!([1, {"code": 2}, []])),
            Just(json!({"code": 7, "URL": "wss://nowhere", "ClientConfig": {}})),
        ]
    }

    fn answers() -> impl Strategy<Value = Value> {
        let url = prop_oneof![
            3 => "wss://[a-z.]{1,20}/[?]a=1&service_id=[0-9]{1,9}",
            1 => "[ -~]{0,20}",
            1 => "(wss://)?.{0,12}",
        ];
        let data = (
            weighted(0.8, url),
            weighted(0.7, configs()),
            weighted(0.3, strange()),
        );
        let data = data.prop_map(|(url, config, more)| {
            let members = [
                ("More", more),
                ("URL", url.map(Value::from)),
                ("ClientConfig", config),
            ];
            let members = members.into_iter();
            members
                .filter_map(|(name, value)| Some((String::from(name), value?)))
                .collect()
        });
        let data = prop_oneof![4 => data, 1 => Just(Value::Null)];
        let code = prop_oneof![3 => Just(json!(0)), 1 => any::<i64>().prop_map(Value::from), 1 => strange()];
        (
            weighted(0.9, code),
            weighted(0.9, data),
            weighted(0.5, ".{0,9}"),
        )
            .prop_map(|(code, data, msg)| {
                let msg = msg.map(Value::from);
                let members = [("code", code), ("msg", msg), ("data", data)].into_iter();
                members
                    .filter_map(|(name, value)| Some((String::from(name), value?)))
                    .collect()
            })
    }

    proptest! {
        #[test]
        fn an_answer_reads_as_serde_json_core_reads_it(answer in answers(), pretty: bool) {
            let body = if pretty {
                serde_json::to_vec_pretty(&answer)
            } else {
                serde_json::to_vec(&answer)
            }.unwrap();
            let ours = Answer::read(&body);
            let Some(theirs) = EndpointAnswer::from_json(&body) else {
                prop_assert_eq!(ours, None);
                return Ok(());
            };
            let ours = ours.unwrap();
            prop_assert_eq!(ours.code, theirs.code);
            let data = theirs.data;
            let url = data.as_ref().and_then(|data| data.url.as_ref());
            prop_assert_eq!(ours.url.map(|url| url.chars().collect()), url.map(unescaped));
            prop_assert_eq!(ours.config, data.and_then(|data| data.client_config));
        }

        #[test]
        fn a_config_reads_as_serde_json_core_reads_it(config in configs()) {
            let payload = serde_json::to_vec(&config).unwrap();
            prop_assert_eq!(StatedConfig::of_pong(&payload), StatedConfig::from_json(&payload));
        }

        #[test]
        fn what_is_written_is_read(numbers: [Option<i64>; 4]) {
            const URL: &str = "wss://x/?a=\"\u{1}";
            let [reconnect_count, reconnect_interval, reconnect_nonce, ping_interval] = numbers;
            let config = StatedConfig {
                reconnect_count,
                reconnect_interval,
                reconnect_nonce,
                ping_interval,
            };
            let mut payload = Vec::new();
            config.write_json(&mut payload).unwrap();
            prop_assert_eq!(StatedConfig::of_pong(&payload), Some(config));
            let answer = EndpointAnswer {
                code: 0,
                msg: Some(""),
                data: Some(EndpointData { url: Some(URL), client_config: Some(config) }),
            };
            let body = serde_json::to_vec(&answer).unwrap();
            let read = Answer::read(&body).unwrap();
            prop_assert_eq!((read.code, read.config), (0, Some(config)));
            prop_assert!(read.url.unwrap() == URL);
        }
    }
}
