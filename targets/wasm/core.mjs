// proto-core for JavaScript: browsers, Node 18 and later, Deno, Bun, Workers.
// No dependencies; `feishu.wasm` has no imports.
//
//   const core = await Core.load(bytesOfTheModule);
//   core.readEvent(payload, { appId, openId })       // what an event says
//   core.verifyWebhook(secrets, headers, body)       // an event, or a URL check
//   core.decodeFrame(message)                        // one frame, looked at
//   const machine = await core.machine({ now })      // the long connection
//
// What the core refuses is thrown as a `FeishuError` in its own words.

/** A refusal of the core. `status` is the HTTP status of a refused webhook. */
export class FeishuError extends Error {
  name = 'FeishuError';

  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** One instance of the module: what goes in and out of its memory. */
class Instance {
  constructor(instance) {
    this.call = instance.exports;
  }

  /**
   * Lays values one behind the other into the input buffer and returns their
   * lengths, -1 for one that is absent.
   */
  put(...values) {
    const all = values.map((value) =>
      typeof value === 'string' ? utf8.encode(value) : value ?? undefined);
    const total = all.reduce((sum, bytes) => sum + (bytes?.length ?? 0), 0);
    let at = this.call.input(total);
    // Only now: a view is void once the memory has grown.
    const memory = new Uint8Array(this.call.memory.buffer);
    return all.map((bytes) => {
      if (!bytes) return -1;
      memory.set(bytes, at);
      at += bytes.length;
      return bytes.length;
    });
  }

  /** The output of the last call, copied: the next call overwrites it. */
  output() {
    const from = this.call.output();
    return new Uint8Array(this.call.memory.buffer).slice(from, from + this.call.output_len());
  }

  outputText() {
    return text.decode(this.output());
  }
}

/** The core, loaded. Holds no state but a buffer. */
export class Core {
  #module;
  #instance;

  /** @param {BufferSource | WebAssembly.Module} source the bytes of `feishu.wasm` */
  static async load(source) {
    const core = new Core();
    core.#module =
      source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
    core.#instance = await core.#instantiate();
    return core;
  }

  async #instantiate() {
    return new Instance(await WebAssembly.instantiate(this.#module, {}));
  }

  /**
   * What an event says, as one flat object: `kind`, `event_id`, `dedup_key`…
   * and for messages `text`, `addressed`, `resources`…
   *
   * @param {string | Uint8Array} event the inner JSON of a webhook, or the
   *   payload of a delivery
   * @param {{appId?: string, openId?: string}} bot whose mentions count
   */
  readEvent(event, { appId = '', openId = '' } = {}) {
    this.#instance.call.inspect_event(...this.#instance.put(event, appId, openId));
    const { ok, error, ...read } = JSON.parse(this.#instance.outputText());
    if (!ok) throw new FeishuError(error);
    return read;
  }

  /**
   * Checks signature, freshness and token of a webhook request, and decrypts
   * it. Returns `{ event }`, the event's JSON, or `{ challenge }`, the body to
   * answer a check of the URL with. Throws with the `status` to answer.
   *
   * @param {{token?: string, encryptKey?: string}} secrets
   * @param {{timestamp?: string, nonce?: string, signature?: string}} headers
   *   `X-Lark-Request-Timestamp`, `X-Lark-Request-Nonce`, `X-Lark-Signature`
   * @param {string | Uint8Array} body as it was received
   * @param {number} now wall-clock time in ms since 1970
   */
  verifyWebhook({ token, encryptKey }, { timestamp, nonce, signature }, body, now = Date.now()) {
    const lengths = this.#instance.put(token, encryptKey, timestamp, nonce, signature, body);
    const status = this.#instance.call.verify_webhook(now, ...lengths);
    const output = this.#instance.outputText();
    if (status > 1) throw new FeishuError(output, status);
    return status === 1 ? { challenge: output } : { event: output };
  }

  /** One frame: 64-bit numbers as BigInt, `payload` as bytes, what is absent null. */
  decodeFrame(message) {
    const good = this.#instance.call.decode_frame(...this.#instance.put(message));
    if (!good) throw new FeishuError(this.#instance.outputText());
    return parseFrame(this.#instance.output());
  }

  /** The same frame as the official encoders write it. */
  reencodeFrame(message) {
    const good = this.#instance.call.reencode_frame(...this.#instance.put(message));
    if (!good) throw new FeishuError('not a frame');
    return this.#instance.output();
  }

  /**
   * A connection machine in memory of its own.
   *
   * @param {{now: number, seed?: bigint, loopback?: boolean}} options `now` on
   *   the clock of all further calls, in ms; `loopback` allows a platform on
   *   this computer
   */
  async machine({ now, seed = randomSeed(), loopback = false }) {
    return new Machine(await this.#instantiate(), now, seed, loopback);
  }
}

/**
 * The long connection. It does no I/O: tell it what came in and what time it
 * is, and after each call do what `poll` says until it says null. Call
 * `handleTimeout` when `deadline` has come.
 */
export class Machine {
  #instance;

  constructor(instance, now, seed, loopback) {
    this.#instance = instance;
    instance.call.start(now, seed, loopback);
  }

  /**
   * The next thing to do, or null:
   * `{ do: 'fetch', epoch }`: POST to `/callback/ws/endpoint`;
   * `{ do: 'connect', epoch, url }`: open a websocket (the URL is a secret);
   * `{ do: 'send', message }`: as one binary message;
   * `{ do: 'disconnect' }`: close the websocket;
   * `{ do: 'tell', event }`: what happened, in words.
   */
  poll(now) {
    const { call } = this.#instance;
    const kind = call.poll_output(now);
    // The output first: asking for the epoch empties it.
    switch (kind) {
      case 0: return null;
      case 1: return { do: 'fetch', epoch: call.epoch() };
      case 2: {
        const url = this.#instance.outputText();
        return { do: 'connect', url, epoch: call.epoch() };
      }
      case 3: return { do: 'send', message: this.#instance.output() };
      case 4: return { do: 'disconnect' };
      case 5: return { do: 'tell', event: this.#instance.outputText() };
      default: throw new FeishuError(`this core.mjs does not know output ${kind}`);
    }
  }

  /** When to call `handleTimeout`; Infinity when nothing will happen again. */
  get deadline() {
    return this.#instance.call.poll_timeout();
  }

  /** Time has passed. Early calls do nothing. */
  handleTimeout(now) {
    this.#instance.call.handle_timeout(now);
  }

  /** The endpoint's answer; without one, status 0. */
  handleEndpoint(now, epoch, status, body = new Uint8Array()) {
    const [len] = this.#instance.put(body);
    this.#instance.call.handle_endpoint(now, epoch, status, len);
  }

  /** The websocket is open. */
  handleOpen(now, epoch) {
    this.#instance.call.handle_open(now, epoch);
  }

  /** The websocket is gone, or could not be had; `code` of the peer's close frame, or 0. */
  handleClosed(now, epoch, code = 0) {
    this.#instance.call.handle_closed(now, epoch, code);
  }

  /**
   * A binary message came in. A complete event is returned as `{ id, payload }`:
   * make it safe, then `acknowledge` it. Otherwise null.
   */
  handleMessage(now, epoch, message) {
    const [len] = this.#instance.put(message);
    const id = this.#instance.call.handle_message(now, epoch, len);
    return id === 0 ? null : { id, payload: this.#instance.outputText() };
  }

  /** A text message came in. */
  handleText(epoch) {
    this.#instance.call.handle_text(epoch);
  }

  /**
   * The delivery is safe; `answer` is a JSON text that goes back, as card
   * callbacks need. Returns the message to send, or null if it is too late and
   * Feishu pushes the event again.
   */
  acknowledge(now, id, answer) {
    const [len] = this.#instance.put(answer);
    return this.#instance.call.acknowledge(now, id, len) ? this.#instance.output() : null;
  }

  /** The delivery could not be made safe: Feishu is to push it again. */
  refuse(now, id) {
    return this.#instance.call.refuse(now, id) ? this.#instance.output() : null;
  }

  /** Ends the link for good; what `poll` then says closes the websocket. */
  close(now) {
    this.#instance.call.close(now);
  }
}

function parseFrame(bytes) {
  const view = new DataView(bytes.buffer);
  let at = 24;
  const next = () => {
    const len = view.getInt32(at, true);
    at += 4 + Math.max(len, 0);
    return len < 0 ? null : bytes.subarray(at - len, at);
  };
  const nextText = () => {
    const read = next();
    return read && text.decode(read);
  };
  const frame = {
    seqId: view.getBigUint64(0, true),
    logId: view.getBigUint64(8, true),
    service: view.getInt32(16, true),
    method: view.getInt32(20, true),
    payloadEncoding: nextText(),
    payloadType: nextText(),
    payload: next(),
    logIdNew: nextText(),
    headers: [],
  };
  while (at < bytes.length) frame.headers.push({ key: nextText(), value: nextText() });
  return frame;
}

function randomSeed() {
  return crypto.getRandomValues(new BigUint64Array(1))[0];
}
