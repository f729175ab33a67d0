// The official Node client under load: its long connection or its webhook
// handler, with a handler that does nothing.
//
// usage: node node_subject.mjs link|hook|hook-encrypted
//
// BENCH_PORT: the platform's port for link, the port to listen on for hook.
// SDK_MODULES: the node_modules folder that has the client.

import { createRequire } from "node:module";
import http from "node:http";

const require = createRequire(`${process.env.SDK_MODULES}/`);
const lark = require("@larksuiteoapi/node-sdk");

const kind = process.argv[2];
const port = Number(process.env.BENCH_PORT);
const encrypted = kind === "hook-encrypted";
const dispatcher = new lark.EventDispatcher({
  loggerLevel: lark.LoggerLevel.error,
  verificationToken: "v1c5t0k3n0f32characters000000000",
  encryptKey: encrypted ? "an encrypt key as a person types" : undefined,
}).register({ "im.message.receive_v1": async () => {} });

if (kind === "link") {
  new lark.WSClient({
    appId: "cli_a1b2c3d4e5f60718",
    appSecret: "secret",
    domain: `http://127.0.0.1:${port}`,
    loggerLevel: lark.LoggerLevel.error,
  }).start({ eventDispatcher: dispatcher });
} else {
  http.createServer(lark.adaptDefault("/webhook/event", dispatcher)).listen(port, "127.0.0.1");
}
