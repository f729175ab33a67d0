// A bot on the official Node client (@larksuiteoapi/node-sdk), pointed at a
// simulator.
//
// usage: node node_client.mjs BASE_URL APP_ID APP_SECRET
//
// It behaves as python_client.py does. SDK_MODULES names the node_modules
// folder that has the client.

import { createRequire } from "node:module";

const require = createRequire(`${process.env.SDK_MODULES}/`);
const lark = require("@larksuiteoapi/node-sdk");

const [domain, appId, appSecret] = process.argv.slice(2);
const api = new lark.Client({ appId, appSecret, domain });

const card = (title, template) =>
  JSON.stringify({
    schema: "2.0",
    config: { update_multi: true },
    header: { title: { tag: "plain_text", content: title }, template },
    body: {
      elements: [
        { tag: "markdown", content: "**node**" },
        {
          tag: "button",
          text: { tag: "plain_text", content: "Stop" },
          behaviors: [{ type: "callback", value: { press: "stop" } }],
        },
      ],
    },
  });

const must = (response) => {
  if (response.code !== 0) throw new Error(`${response.code} ${response.msg}`);
  return response.data;
};

const onMessage = async ({ message }) => {
  const { text } = JSON.parse(message.content);
  if (text === "card") {
    const sent = must(
      await api.im.v1.message.create({
        params: { receive_id_type: "chat_id" },
        data: {
          receive_id: message.chat_id,
          msg_type: "interactive",
          content: card("working", "blue"),
          uuid: `card-${message.message_id.slice(0, 40)}`,
        },
      }),
    );
    must(
      await api.im.v1.message.patch({
        path: { message_id: sent.message_id },
        data: { content: card("done", "green") },
      }),
    );
    return;
  }
  must(
    await api.im.v1.messageReaction.create({
      path: { message_id: message.message_id },
      data: { reaction_type: { emoji_type: "Get" } },
    }),
  );
  const characters = [...text];
  must(
    await api.im.v1.message.reply({
      path: { message_id: message.message_id },
      data: {
        msg_type: "text",
        content: JSON.stringify({
          text: `${characters.length}:${characters.slice(-8).join("")}`,
        }),
      },
    }),
  );
};

const onPress = async (event) => ({
  toast: { type: "success", content: event.action.value.press },
});

new lark.WSClient({ appId, appSecret, domain }).start({
  eventDispatcher: new lark.EventDispatcher({}).register({
    "im.message.receive_v1": onMessage,
    "card.action.trigger": onPress,
  }),
});
