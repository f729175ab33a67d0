// The vectors through the module: what x86-64 passes, wasm32 passes.
//
//   node vectors.mjs <feishu.wasm> <folder of the vectors>
//
// Prints counts as `name=number`; a vector that fails throws with its name.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { Core, FeishuError } from './core.mjs';

const [modulePath, folder] = process.argv.slice(2);
const core = await Core.load(readFileSync(modulePath));
// Numbers of 64 bits become texts: JSON.parse would round them.
const read = (path) => JSON.parse(readFileSync(`${folder}/${path}`, 'utf8')
  .replace(/"(SeqID|LogID)": ?(\d+)/g, '"$1": "$2"'));
const unhex = (digits) => Uint8Array.from(Buffer.from(digits, 'hex'));
const frameVectors = read('ws_frames.json');
const named = (name) => unhex(frameVectors.find((vector) => vector.name === name).hex);
const same = (ours, expected, name) => assert.deepEqual(ours, expected, name);

const frames = checkFrames();
const events = checkEvents();
const requests = checkRequests();
const steps = await checkSession();
console.log(`frames=${frames} events=${events} requests=${requests} steps=${steps}`);

function checkFrames() {
  for (const { name, valid, hex, frame, canonical, reencoded_hex: reencoded } of frameVectors) {
    const message = unhex(hex);
    if (!valid) {
      assert.throws(() => core.decodeFrame(message), FeishuError, name);
      continue;
    }
    same(core.decodeFrame(message), {
      seqId: BigInt(frame.SeqID),
      logId: BigInt(frame.LogID),
      service: frame.service,
      method: frame.method,
      payloadEncoding: frame.payload_encoding,
      payloadType: frame.payload_type,
      payload: frame.payload_hex === null ? null : unhex(frame.payload_hex),
      logIdNew: frame.LogIDNew,
      headers: frame.headers,
    }, name);
    // Left out of a large vector, whose own bytes are canonical.
    assert(reencoded || canonical, name);
    same(core.reencodeFrame(message), reencoded ? unhex(reencoded) : message, name);
  }
  return frameVectors.length;
}

// The comparison rules are in the vectors' README.
function checkEvents() {
  const bot = { appId: 'cli_a1b2c3d4e5f60001', openId: 'ou_bot_0000000000000000000000000000' };
  const files = readdirSync(`${folder}/events`).filter((file) => file.endsWith('.json'));
  for (const file of files) {
    const { name, body, expect } = read(`events/${file}`);
    const ours = core.readEvent(JSON.stringify(body), bot);
    for (const [key, value] of Object.entries(expect)) compare(`${name}: ${key}`, key, value, ours, expect);
  }
  for (const broken of ['', '{', 'nonsense', '[1]', '{}']) {
    assert.throws(() => core.readEvent(broken), FeishuError, broken);
  }
  return files.length;
}

function compare(name, key, expected, ours, expect) {
  const text = ours.text ?? '';
  switch (key) {
    case 'note': case 'alternative': case 'text_should_contain': case 'resources_optional': return;
    case 'text_any_of': return assert(expected.includes(text), `${name} is ${text}`);
    case 'text_contains': {
      let at = 0;
      for (const part of expected) {
        const found = text.indexOf(part, at);
        assert(found >= 0, `${name}: ${part} in ${text}`);
        at = found + part.length;
      }
      return;
    }
    case 'text_not_contains': return expected.forEach((part) => assert(!text.includes(part), name));
    case 'text_chars': return same([...text].length, expected, name);
    case 'text_utf8_bytes': return same(Buffer.byteLength(text), expected, name);
    case 'text_sha256': return same(createHash('sha256').update(text).digest('hex'), expected, name);
    case 'text': if (expect.text_any_of) return; break;
    case 'addressed': case 'chat_type': case 'mentioned_open_ids':
      if (expected === null) return; break;
    case 'root_id': case 'parent_id': case 'thread_id': case 'action_value': case 'schema':
      if (expected === null) return assert(!ours[key], name); break;
    case 'resources':
      if (expected === null) return;
      same(ours.resources.length, expected.length, name);
      return expected.forEach((resource, at) => {
        const kind = resource.type === 'image' ? 'image' : 'file';
        const wanted = { ...resource, download_type: kind };
        for (const member in wanted) same(ours.resources[at][member], wanted[member], `${name}.${member}`);
      });
  }
  same(ours[key], expected, name);
}

function checkRequests() {
  const { vectors, card_vectors: cards } = read('webhook_crypto.json');
  const signedAt = 1_772_445_600_000;
  const token = 'vt_Xq7mN2pL9sK4wR8tY1zB';
  const statuses = { signature: 401, decrypt: 400, plaintext_not_json: 400 };
  for (const vector of vectors) {
    const secrets = {
      encryptKey: vector.encrypt_key,
      token: vector.plaintext?.includes(token) ? token : undefined,
    };
    const verify = () => core.verifyWebhook(secrets, headersOf(vector), vector.body, signedAt);
    if (vector.reject_reason) {
      assert.throws(verify, { name: 'FeishuError', status: statuses[vector.reject_reason] }, vector.name);
    } else if (vector.name === 'url_verification') {
      const { challenge } = JSON.parse(vector.plaintext);
      same(JSON.parse(verify().challenge), { challenge }, vector.name);
    } else {
      same(verify(), { event: vector.plaintext.trim() }, vector.name);
    }
  }
  for (const vector of cards) {
    const secrets = { token: vector.verification_token };
    const verify = () => core.verifyWebhook(secrets, headersOf(vector), vector.body, signedAt);
    if (vector.valid) same(verify(), { event: vector.body.trim() }, vector.name);
    else assert.throws(verify, { name: 'FeishuError', status: 401 }, vector.name);
  }
  assert.throws(() => core.verifyWebhook({}, {}, '{}'), { status: 500 }, 'no secret');
  return vectors.length + cards.length;
}

function headersOf({ timestamp, nonce, signature }) {
  return { timestamp: timestamp ?? undefined, nonce: nonce ?? undefined, signature: signature ?? undefined };
}

// One life of the machine: asked, opened, acknowledged, pinged, lost, closed.
async function checkSession() {
  const url = 'wss://msg-frontier.feishu.cn/ws/v2?service_id=33554678&ticket=t';
  const endpoint = JSON.stringify({ code: 0, data: { URL: url, ClientConfig: { PingInterval: 45 } } });
  const acked = (message) => JSON.parse(new TextDecoder().decode(core.decodeFrame(message).payload));
  let now = 1000;
  const machine = await core.machine({ now, seed: 1n });
  const drain = () => {
    const outputs = [];
    for (let output; (output = machine.poll(now));) outputs.push(output);
    return outputs;
  };
  const said = (...expected) => same(drain(), expected, 'what the machine says');

  machine.handleTimeout(now);
  const [{ epoch }] = drain();
  machine.handleEndpoint(now, epoch, 200, endpoint);
  said({ do: 'tell', event: 'reconfigured' }, { do: 'connect', url, epoch });
  machine.handleOpen(now, epoch);
  said({ do: 'tell', event: 'link up' }, { do: 'send', message: named('ping_basic') });

  const whole = new TextDecoder().decode(core.decodeFrame(named('event_single')).payload);
  let delivery = machine.handleMessage(now, epoch, named('event_single'));
  same(delivery.payload, whole, 'a payload');
  const ack = machine.acknowledge(now + 7, delivery.id);
  const { headers } = core.decodeFrame(named('event_single'));
  same(core.decodeFrame(ack).headers, [...headers, { key: 'biz_rt', value: '7' }], 'an acknowledgement');
  same(acked(ack).code, 200, 'an acknowledgement');
  same(machine.acknowledge(now, delivery.id), null, 'only once');

  for (const part of [2, 0]) same(machine.handleMessage(now, epoch, named(`event_part_${part}_of_3`)), null, 'a part');
  delivery = machine.handleMessage(now, epoch, named('event_part_1_of_3'));
  same(delivery.payload, whole, 'a payload in parts');
  same(acked(machine.refuse(now, delivery.id)).code, 500, 'a refusal');

  delivery = machine.handleMessage(now, epoch, named('card_callback_event'));
  const toast = '{"toast":{"type":"info","content":"好"}}';
  const answer = acked(machine.acknowledge(now, delivery.id, toast));
  same(Buffer.from(answer.data, 'base64').toString(), toast, 'an answer');

  machine.handleMessage(now, epoch, named('event_single'));
  now = machine.deadline;
  machine.handleTimeout(now);
  const [refused, overdue] = drain();
  same(acked(refused.message).code, 500, 'overdue');
  same(overdue, { do: 'tell', event: 'a delivery was not acknowledged in time' }, 'overdue');

  machine.handleClosed(now, epoch, 1001);
  said({ do: 'tell', event: 'link down' });
  machine.handleOpen(now, epoch);
  said();
  now = machine.deadline;
  machine.handleTimeout(now);
  const [again] = drain();
  assert(again.do === 'fetch' && again.epoch > epoch, 'another attempt');
  machine.close(now);
  said({ do: 'disconnect' }, { do: 'tell', event: 'link down' });
  same(machine.deadline, Infinity, 'the end');
  return 7;
}
