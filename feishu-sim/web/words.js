// What the page says, in Chinese and English, and how it writes times.

const words = {
  zh: {
    htmlLang: "zh-CN",
    page: (bot) => `${bot} · 飞书模拟器`,
    brand: "飞书模拟器", brandSub: "在这台电脑上，不联网",
    chats: "会话", messages: "消息", openChats: "打开会话列表", close: "关闭",
    otherLanguage: "Switch to English", otherLanguageShort: "EN",
    theme: "切换深色 / 浅色", reset: "重新开始", resetHint: "清空消息、统计和故障",
    resetSure: "清空这里所有的消息、统计和故障？",
    bot: "机器人", all: "所有人",
    direct: "单聊", people: (n) => `${n} 位成员`, directAs: (name) => `${name} 与机器人的单聊`,
    nothingYet: "还没有消息",
    write: (name) => `发消息给 ${name}`, send: "发送", sendHint: "Enter 发送，Shift + Enter 换行",
    asHint: "以谁的身份发言", atOn: "这条消息会 @ 机器人", atOff: "没有 @ 机器人，它收不到这条消息",
    suggestions: "示例",
    reply: "回复", replyTo: (name) => `回复 ${name}`, quoted: (name, text) => `回复 ${name}：${text}`, cancelReply: "取消回复", recall: "撤回", like: "点赞",
    recalled: (name) => `${name} 撤回了一条消息`, gone: "原消息不在这里", edited: "已编辑", thread: "话题",
    versions: (n) => `更新了 ${n} 次`, versionsTitle: "这张卡片的每一版",
    versionNo: (n) => `第 ${n} 版`,
    sending: "发送中", notSent: "没有发出去", again: "重试", drop: "放弃",
    waiting: "等待机器人确认", ackedIn: (ms) => `机器人 ${ms} 确认收到`, ackedAfter: (n, ms) => `第 ${n} 次推送后 ${ms} 确认`,
    failed: (n) => `推送 ${n} 次未获确认，会再推`, givenUp: "没有确认，不再推送",
    copy: "复制", copied: "已复制",
    jump: "回到底部", newMessages: (n) => `${n} 条新消息`,
    offline: "连不上模拟器，正在重试……", cantLoad: "读不到消息",
    hello: (name) => `我是${name}`,
    helloDirect: "给我发一条消息：先看到我的表情回应，再看到进度卡片，最后是回答。",
    helloGroup: "在群里 @ 我，我会回复你那条消息。可以换人发言，看看我怎么分清谁是谁。",
    prompts: [["问时间", "现在几点？"], ["表格和代码", "用一张表格和一段代码介绍你自己"], ["我的记忆", "我刚才说了什么？"]],
    unanswered: "无应答", wire: "线路上发生了什么",
    up: "已连接", silent: "静默", down: "断开", downFor: (s) => `断开 ${s} 秒`, long: "长连接", longN: (n) => `${n} 条长连接`, webhook: "Webhook",
    ackTitle: "从推送到确认", noAck: "还没有事件", ackLast: "最近一次", ackMiddle: (ms) => `中位数 ${ms}`,
    pushed: "推送", acked: "确认", redelivered: "重推", missed: "未确认", calls: "API 调用", violations: "违反协议",
    faults: "弄坏一点什么", faultArmed: "已就绪：下一条消息时发生", faultNow: "已就绪", calm: "全部恢复正常",
    fault: {
      drop: ["断开连接", "立刻切断，看它自己重连"],
      lose: ["丢失应答", "它的下次回复生效，却收不到应答"],
      twice: ["重复事件", "同一事件推送两遍，只应答一次"],
      silence: ["静默", "连接还在，但什么都不再传，看它察觉"],
    },
    story: "经过", storyEmpty: "发一条消息，看这里",
    sPush: "事件已推送", sPushAgain: (n) => `事件第 ${n} 次推送`, sAck: "已确认", sAckBad: (code) => `确认码 ${code}`,
    sMissed: "没有等到确认", sNext: (s) => `${s} 后再推`, sLast: "不再推送",
    sUp: "连接建立", sBack: (s) => `${s} 后恢复连接`, sDown: "连接断开", sSilent: "连接静默了", sViolation: "违反协议",
    call: {
      token: "取令牌", reactOn: "加表情", reactOff: "去掉表情", reply: "回复消息", send: "发消息", patch: "更新卡片",
      edit: "编辑消息", read: "读消息", members: "读群成员", card: "建卡片", stream: "流式更新卡片", upload: "上传",
    },
    attach: "添加图片或文件", attached: "要发送的文件", detach: (name) => `不发送 ${name}`, tooLarge: (name) => `${name} 超过 30 MB`,
    choose: "请选择", more: "更多操作", mustFill: (name) => `请填写：${name}`,
    pressed: "已送达机器人", notPressed: { refused: "机器人拒绝了", timeout: "机器人没有及时回应", no_connection: "机器人没有连接" },
    heard: (name, text) => `${name}：${text}`,
    yesterday: "昨天",
  },
  en: {
    htmlLang: "en",
    page: (bot) => `${bot} · Feishu simulator`,
    brand: "Feishu simulator", brandSub: "On this machine, offline",
    chats: "Chats", messages: "Messages", openChats: "Open the list of chats", close: "Close",
    otherLanguage: "切换到中文", otherLanguageShort: "中文",
    theme: "Dark or light", reset: "Start over", resetHint: "Forget messages, statistics and faults",
    resetSure: "Forget all messages, statistics and faults here?",
    bot: "BOT", all: "everyone",
    direct: "Direct chat", people: (n) => `${n} members`, directAs: (name) => `${name} and the bot`,
    nothingYet: "No messages yet",
    write: (name) => `Message ${name}`, send: "Send", sendHint: "Enter to send, Shift + Enter for a new line",
    asHint: "Who is speaking", atOn: "This message mentions the bot", atOff: "The bot isn't mentioned, so it won't hear this",
    suggestions: "Examples",
    reply: "Reply", replyTo: (name) => `Replying to ${name}`, quoted: (name, text) => `Reply to ${name}: ${text}`, cancelReply: "Don't reply", recall: "Recall", like: "Like",
    recalled: (name) => `${name} recalled a message`, gone: "The original isn't here", edited: "edited", thread: "thread",
    versions: (n) => (n === 1 ? "updated once" : `updated ${n} times`), versionsTitle: "Every version of this card",
    versionNo: (n) => `Version ${n}`,
    sending: "Sending", notSent: "Not sent", again: "Try again", drop: "Discard",
    waiting: "Waiting for the bot to acknowledge", ackedIn: (ms) => `Acknowledged in ${ms}`, ackedAfter: (n, ms) => `Acknowledged in ${ms}, push ${n}`,
    failed: (n) => `No acknowledgement after ${n === 1 ? "1 push" : `${n} pushes`}, will push again`, givenUp: "Never acknowledged, no pushes left",
    copy: "Copy", copied: "Copied",
    jump: "Back to the latest", newMessages: (n) => (n === 1 ? "1 new message" : `${n} new messages`),
    offline: "Can't reach the simulator, trying again…", cantLoad: "Can't load the messages",
    hello: (name) => `I'm ${name}`,
    helloDirect: "Send me a message: first you see my reaction, then a progress card, then the answer.",
    helloGroup: "Mention me here and I reply to your message. Switch the speaker and see how I tell people apart.",
    prompts: [["Ask the time", "What time is it?"], ["A table and code", "Introduce yourself with a table and some code"], ["My memory", "What did I say just before?"]],
    unanswered: "no answer", wire: "On the wire",
    up: "Connected", silent: "Silent", down: "Down", downFor: (s) => `Down for ${s} s`, long: "long connection", longN: (n) => `${n} long connections`, webhook: "webhook",
    ackTitle: "From push to acknowledgement", noAck: "No events yet", ackLast: "latest", ackMiddle: (ms) => `median ${ms}`,
    pushed: "Pushed", acked: "Acked", redelivered: "Redelivered", missed: "Missed", calls: "API calls", violations: "Violations",
    faults: "Break something", faultArmed: "Armed: strikes at the next message", faultNow: "In force", calm: "Make everything work again",
    fault: {
      drop: ["Drop the link", "Cut it now, and watch it reconnect"],
      lose: ["Lose the answer", "Its next reply arrives, but it never hears so"],
      twice: ["Repeat the event", "Pushed twice, to be answered once"],
      silence: ["Silence", "The link stays but carries nothing: will it notice?"],
    },
    story: "What happened", storyEmpty: "Send a message and watch here",
    sPush: "Event pushed", sPushAgain: (n) => `Event pushed, attempt ${n}`, sAck: "Acknowledged", sAckBad: (code) => `Answered ${code}`,
    sMissed: "Not acknowledged", sNext: (s) => `again in ${s}`, sLast: "no pushes left",
    sUp: "Link up", sBack: (s) => `Link back after ${s}`, sDown: "Link down", sSilent: "The link went silent", sViolation: "Violation",
    call: {
      token: "Token", reactOn: "Reaction on", reactOff: "Reaction off", reply: "Reply sent", send: "Message sent", patch: "Card updated",
      edit: "Message edited", read: "Messages read", members: "Members read", card: "Card created", stream: "Card streamed", upload: "Upload",
    },
    attach: "Add an image or file", attached: "Files to send", detach: (name) => `Don't send ${name}`, tooLarge: (name) => `${name} is over 30 MB`,
    choose: "Choose", more: "More", mustFill: (name) => `Please fill in: ${name}`,
    pressed: "The bot got it", notPressed: { refused: "The bot refused", timeout: "The bot didn't answer in time", no_connection: "The bot isn't connected" },
    heard: (name, text) => `${name}: ${text}`,
    yesterday: "Yesterday",
  },
};

const wanted = new URLSearchParams(location.search).get("lang") ?? remembered("lang") ?? navigator.language ?? "en";
let language = wanted.toLowerCase().startsWith("zh") ? "zh" : "en";

/** The word for `key`, or the result of its function on `values`. */
export function t(key, ...values) {
  const word = words[language][key];
  return typeof word === "function" ? word(...values) : word;
}

export const isChinese = () => language === "zh";

export function switchLanguage() {
  language = isChinese() ? "en" : "zh";
  remember("lang", language);
}

/** Puts words into the elements that ask for them. */
export function label(root) {
  document.documentElement.lang = t("htmlLang");
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", t(node.dataset.label));
    if (node.tagName === "BUTTON") node.title = t(node.dataset.label);
  }
  for (const node of root.querySelectorAll("[data-hint]")) node.title = t(node.dataset.hint);
}

/** A person's name in the page's language. */
export const nameOf = (person) => (person ? (isChinese() ? person.name : person.en_name || person.name) : "");

export const clock = (at, seconds = false) =>
  new Date(at).toLocaleTimeString(t("htmlLang"), { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hourCycle: "h23" });

const dayOf = (at) => new Date(at).setHours(0, 0, 0, 0);
export const sameDay = (a, b) => dayOf(a) === dayOf(b);

/** The day, unless it is today: "Yesterday", "3 May". */
function day(at) {
  const days = Math.round((dayOf(Date.now()) - dayOf(at)) / 86_400_000);
  if (days === 0) return "";
  return days === 1 ? t("yesterday") : new Date(at).toLocaleDateString(t("htmlLang"), { month: "short", day: "numeric" });
}

export const moment = (at) => `${day(at)} ${clock(at)}`.trim();
export const dayOrClock = (at) => day(at) || clock(at);

/** Milliseconds as a person reads them: "4 ms", "1.2 s", "5 min". */
export function span(ms) {
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** Storage may be forbidden; the page works without. */
export function remember(key, value) {
  try { localStorage.setItem(`feishu-sim.${key}`, value); } catch { /* not kept */ }
}

export function remembered(key) {
  try { return localStorage.getItem(`feishu-sim.${key}`); } catch { return null; }
}
