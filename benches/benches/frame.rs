//! What one event frame costs: decoded, and with its acknowledgement encoded,
//! beside prost and beside a copy of the same bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto_core::conn::{Connection, Epoch, HeapMemory, Outcome, Output};
use proto_core::{Config, EndpointReply, Frame, FrameFields, Header, Instant, Limits, Method};

criterion_group!(benches, frames);
criterion_main!(benches);

fn frames(criterion: &mut Criterion) {
    for payload_bytes in [1_172, 16 * 1024, 64 * 1024] {
        let message = event(payload_bytes);
        let mut group =
            criterion.benchmark_group(format!("event frame of {} bytes", message.len()));
        group.throughput(Throughput::Elements(1));
        let mut copy = vec![0_u8; message.len()];
        group.bench_function("memcpy", |bencher| {
            bencher.iter(|| copy.copy_from_slice(black_box(&message)));
        });
        let limits = Limits::default();
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                let frame = Frame::decode(black_box(&message), &limits).expect("a valid frame");
                (
                    frame.payload.map(<[u8]>::len),
                    frame.header("message_id").map(str::len),
                )
            });
        });
        group.bench_function("prost decode", |bencher| {
            bencher.iter(|| {
                let frame = <peer::Frame as prost::Message>::decode(black_box(message.as_slice()));
                frame.map(|frame| frame.payload.map(|payload| payload.len()))
            });
        });
        let (mut machine, epoch) = open();
        let now = Instant::from_millis(0);
        let mut out = Vec::with_capacity(1024);
        group.bench_function("machine: decode, deliver, acknowledge", |bencher| {
            bencher.iter(|| {
                out.clear();
                let delivery = machine.handle_message(now, epoch, black_box(&message));
                let token = delivery.expect("an event").token;
                machine
                    .acknowledge(now, token, Outcome::Done, &mut out)
                    .expect("an open link");
                out.len()
            });
        });
        group.bench_function("prost: decode, encode the acknowledgement", |bencher| {
            bencher.iter(|| {
                let decoded =
                    <peer::Frame as prost::Message>::decode(black_box(message.as_slice()));
                let mut frame = decoded.expect("a valid frame");
                frame.headers.push(peer::Header {
                    key: "biz_rt".into(),
                    value: "0".into(),
                });
                frame.payload = Some(br#"{"code":200}"#.to_vec());
                prost::Message::encode_to_vec(&frame).len()
            });
        });
        group.finish();
    }
}

fn open() -> (Connection<HeapMemory>, Epoch) {
    let now = Instant::from_millis(0);
    let mut machine = Connection::new(now, Config::default(), 1, HeapMemory::default());
    let mut scratch = Vec::new();
    machine.handle_timeout(now);
    let mut current = None;
    while let Some(output) = machine.poll_output(now, &mut scratch) {
        if let Output::FetchEndpoint(epoch) = output {
            current = Some(epoch);
        }
    }
    let epoch = current.expect("the first attempt");
    let body = br#"{"code":0,"data":{"URL":"wss://gw.feishu.cn/?service_id=1"}}"#;
    machine.handle_endpoint(now, epoch, EndpointReply::Http { status: 200, body });
    machine.handle_open(now, epoch);
    while machine.poll_output(now, &mut scratch).is_some() {}
    (machine, epoch)
}

fn event(payload_bytes: usize) -> Vec<u8> {
    let payload = vec![b'x'; payload_bytes];
    let headers = [
        ("timestamp", "1772445600000"),
        ("type", "event"),
        ("message_id", "5f1c7a8e-0000-4000-8000-0123456789ab"),
        ("sum", "1"),
        ("seq", "0"),
        ("trace_id", "0123456789abcdef0123456789abcdef"),
        ("instance_id", "gateway-instance-0001"),
        ("x-extra", "value"),
    ];
    let mut out = Vec::new();
    FrameFields {
        seq_id: 1 << 60,
        log_id: 1 << 61,
        service: 33_554_678,
        method: Method::Data,
        payload_encoding: None,
        payload_type: None,
        payload: Some(&payload),
        log_id_new: Some("20260302000000ABCDEF"),
    }
    .encode(headers.map(|(key, value)| Header { key, value }), &mut out)
    .expect("a Vec is never full");
    out
}

#[allow(missing_docs, reason = "derived for the comparison alone")]
mod peer {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Frame {
        #[prost(uint64, required, tag = "1")]
        pub(super) seq_id: u64,
        #[prost(uint64, required, tag = "2")]
        pub(super) log_id: u64,
        #[prost(int32, required, tag = "3")]
        pub(super) service: i32,
        #[prost(int32, required, tag = "4")]
        pub(super) method: i32,
        #[prost(message, repeated, tag = "5")]
        pub(super) headers: Vec<Header>,
        #[prost(string, optional, tag = "6")]
        pub(super) payload_encoding: Option<String>,
        #[prost(string, optional, tag = "7")]
        pub(super) payload_type: Option<String>,
        #[prost(bytes = "vec", optional, tag = "8")]
        pub(super) payload: Option<Vec<u8>>,
        #[prost(string, optional, tag = "9")]
        pub(super) log_id_new: Option<String>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Header {
        #[prost(string, required, tag = "1")]
        pub(super) key: String,
        #[prost(string, required, tag = "2")]
        pub(super) value: String,
    }
}
