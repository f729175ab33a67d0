// A bot in JavaScript: it answers direct messages with their own words.
//
//   proto-core/examples/wasm/run.sh, with FEISHU_DOMAIN, FEISHU_APP_ID and
//   FEISHU_APP_SECRET set
//
// The machine is the core as WebAssembly; sockets, timers and HTTP are what
// every browser has: WebSocket, setTimeout, fetch. A page can't use Feishu's
// HTTP interface from its own origin and must not hold the secret, so what runs
// there needs a server of its own in between; Deno, Bun and Workers don't.
import { readFile } from 'node:fs/promises';
import { Core } from '../../../targets/wasm/core.mjs';

const { FEISHU_DOMAIN: domain, FEISHU_APP_ID: appId, FEISHU_APP_SECRET: appSecret } = process.env;
if (!domain || !appId || !appSecret) {
  console.error('set FEISHU_DOMAIN, FEISHU_APP_ID, FEISHU_APP_SECRET');
  process.exit(2);
}

/** `setTimeout` can't wait longer; the machine minds no early call. */
const WAIT_MS_MAX = 2 ** 31 - 1;
/** How long sending an answer may take. */
const ANSWER_TIMEOUT_MS = 10_000;
/** What a close event says when the peer sent no close frame. */
const NO_CLOSE_FRAME = 1006;

const module = new URL('../../../targets/wasm/target/feishu.wasm', import.meta.url);
const core = await Core.load(await readFile(module));
const now = () => performance.now();
// A platform on this computer, without TLS. For the real one leave it out.
const machine = await core.machine({ now: now(), loopback: true });
let socket;
let timer;
wake();

/** Time has passed, or something came in: do what the machine wants done. */
function wake() {
  machine.handleTimeout(now());
  for (let output; (output = machine.poll(now())); ) {
    switch (output.do) {
      case 'fetch': fetchEndpoint(output.epoch); break;
      case 'connect': connect(output.epoch, output.url); break;
      case 'send': send(output.message); break;
      case 'disconnect': hangUp(); break;
      case 'tell': console.log(output.event); break;
    }
  }
  clearTimeout(timer);
  if (machine.deadline === Infinity) {
    console.error('the platform refused for good');
    process.exit(1);
  }
  timer = setTimeout(wake, Math.min(Math.ceil(machine.deadline - now()), WAIT_MS_MAX));
}

/** The machine gives up what takes too long: news of it then changes nothing. */
async function fetchEndpoint(epoch) {
  const wait = Math.max(machine.deadline - now(), 0);
  try {
    const answer = await post('callback/ws/endpoint', { AppID: appId, AppSecret: appSecret }, { locale: 'zh' }, wait);
    machine.handleEndpoint(now(), epoch, answer.status, new Uint8Array(await answer.arrayBuffer()));
  } catch {
    machine.handleEndpoint(now(), epoch, 0);
  }
  wake();
}

function connect(epoch, url) {
  const opening = new WebSocket(url);
  opening.binaryType = 'arraybuffer';
  opening.onopen = () => {
    machine.handleOpen(now(), epoch);
    wake();
  };
  opening.onmessage = ({ data }) => {
    if (typeof data === 'string') machine.handleText(epoch);
    else deliver(machine.handleMessage(now(), epoch, new Uint8Array(data)));
    wake();
  };
  let lost = false;
  const lose = (code) => {
    if (lost) return;
    lost = true;
    machine.handleClosed(now(), epoch, code === NO_CLOSE_FRAME ? 0 : code);
    wake();
  };
  opening.onclose = ({ code }) => lose(code);
  // Browsers send a close event as well; Node's WebSocket may not.
  opening.onerror = () => lose(NO_CLOSE_FRAME);
  socket = opening;
}

function send(message) {
  if (message && socket?.readyState === WebSocket.OPEN) socket.send(message);
}

function hangUp() {
  socket?.close();
  socket = undefined;
}

/**
 * A daemon makes the event durable here: only what is safe may be acknowledged.
 * Groups need the bot's own open_id to judge mentions; without it only direct
 * chats count.
 */
function deliver(delivery) {
  if (!delivery) return;
  let question;
  try {
    question = core.readEvent(delivery.payload, { appId });
  } catch (error) {
    // Not for us; pushing it again would not change that.
    console.log(`not understood: ${error.message}`);
  }
  send(machine.acknowledge(now(), delivery.id));
  if (question?.addressed) {
    answer(question).then(
      () => console.log(`answered ${question.message_id}`),
      (error) => console.log(`not answered: ${error.message}`),
    );
  }
}

async function answer({ message_id: id, text }) {
  // A daemon keeps the token for the two hours that it is good for.
  const { tenant_access_token: token } = await call('auth/v3/tenant_access_token/internal', {
    app_id: appId,
    app_secret: appSecret,
  });
  await call(
    `im/v1/messages/${id}/reply`,
    // The platform keeps one reply of those with the same uuid, so an event
    // that is pushed twice is answered once.
    { msg_type: 'text', content: JSON.stringify({ text: `You said: ${text}` }), uuid: id },
    { Authorization: `Bearer ${token}` },
  );
}

async function call(path, body, headers = {}) {
  const answer = await (await post(`open-apis/${path}`, body, headers, ANSWER_TIMEOUT_MS)).json();
  if (answer.code !== 0) throw new Error(`${path}: ${answer.msg}`);
  return answer;
}

function post(path, body, headers, timeoutMs) {
  return fetch(`${domain}/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
  });
}
