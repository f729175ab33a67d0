// What the page says, in both languages, and how numbers and times read.

const WORDS = {
  zh: {
    brand: "小欧 · 运行状态", otherLanguage: "EN", otherLanguageHint: "Switch to English", theme: "切换深浅色", bot: "机器人",
    about: (version, up) => `版本 ${version} · 已运行 ${up}`,
    live: "实时", connecting: "连接中…", lost: "连接已断开，正在重连…",
    token: "访问令牌", enter: "进入", needToken: "从其他机器查看需要令牌：即配置项 [http] bearer_token_env 所指环境变量的值。",
    wrongToken: "令牌不正确。", notHere: "只能在运行小欧的机器上查看。要从其他机器查看，请在 [http] bearer_token_env 中设置令牌。",
    full: "已有太多页面在查看，稍后自动重试。",
    ready: "就绪", readySub: "飞书消息正常送达", notReady: "未就绪", stopping: "正在停止", 
    numbers: "数字", answered: "已回答", failedTile: "失败", running: "运行中", waiting: "排队", received: "收到事件", tokens: "词元",
    ofMax: (max) => `/ ${max}`, stoppedN: (n) => `${n} 次被停止`, givenUpN: (n) => `${n} 条未能发出`, oldest: (span) => `最久等了 ${span}`,
    ignoredN: (ignored, twice) => `${ignored} 个略过 · ${twice} 个重复`, readWritten: (read, written) => `读 ${read} · 写 ${written}`, calls: (n) => `${n} 次飞书调用`,
    link: "长连接", webhook: "Webhook", since: "已持续", lastEvent: "上次事件", lastPong: "上次心跳应答", attempts: "连接次数", acked: "已确认", overdue: "超时未确认", never: "还没有",
    open: "已连接", connectingLink: "连接中", waitingLink: "等待重连", refused: "已被拒绝", closed: "已关闭", botId: "机器人 open_id", unknown: "还不知道", lastError: "原因",
    accepted: "已接收", challenges: "URL 验证", rejected: "校验未通过", refusedPush: "暂拒（会重推）",
    agoStrip: (span) => `${span}前`, now: "现在", up: "恢复", down: "断开",
    turns: "正在处理", noTurns: "现在没有正在处理的消息。", thinking: "思考中", writing: (chars) => `撰写中，已 ${chars} 字`, retrying: (n) => `模型无响应，第 ${n} 次尝试`,
    approval: (tool) => `等待批准使用 ${tool}`, waitsAnswer: "等待对方回答",
    ends: "最近的回答与错误", noEnds: "还没有。", end: { answered: "已回答", failed: "失败", stopped: "已停止", refused: "未答", silent: "无需答", given_up: "未发出" },
    events: "最近的事件", noEvents: "还没有收到事件。", fate: { admitted: "已接收", duplicate: "重复", ignored: "略过", not_understood: "看不懂", refused: "暂拒", click: "点击" },
    kinds: { command: "命令", late_message: "迟到的消息", busy: "太忙", marked: "太忙（仅表情）", refused: "无权限" }, toolsN: (n) => `${n} 次工具`,
    ackTime: "确认耗时", modelTime: "模型应答耗时", mean: (span, n) => `平均 ${span} · 共 ${n}`, noneYet: "还没有数据。", longer: "更久",
    store: "存储", noStore: "存储没有响应。", size: "大小", wal: "预写日志", queued: "排队的消息", outbox: "待发送", dead: "未能发出", commits: "提交次数", perCommit: "每次提交的操作", commitTime: "每次提交耗时",
    config: "当前配置", byDefault: "默认", noSecrets: "机密不会显示",
  },
  en: {
    brand: "xiaoO · Dashboard", otherLanguage: "中", otherLanguageHint: "切换到中文", theme: "Light or dark", bot: "Bot",
    about: (version, up) => `version ${version} · up ${up}`,
    live: "live", connecting: "connecting…", lost: "lost, connecting again…",
    token: "Access token", enter: "Enter", needToken: "From another machine this page needs the token: what the variable named by [http] bearer_token_env holds.",
    wrongToken: "That is not the token.", notHere: "This page is only for the machine that xiaoO runs on. To see it from another one, name a token in [http] bearer_token_env.",
    full: "Too many pages follow already; this one tries again by itself.",
    ready: "Ready", readySub: "Feishu delivers messages to this daemon", notReady: "Not ready", stopping: "Stopping",
    numbers: "Numbers", answered: "Answered", failedTile: "Failed", running: "Running", waiting: "Waiting", received: "Events", tokens: "Tokens",
    ofMax: (max) => `of ${max}`, stoppedN: (n) => `${n} stopped by people`, givenUpN: (n) => `${n} could not be sent`, oldest: (span) => `oldest waits ${span}`,
    ignoredN: (ignored, twice) => `${ignored} left alone · ${twice} twice`, readWritten: (read, written) => `${read} read · ${written} written`, calls: (n) => `${n} calls to Feishu`,
    link: "Long connection", webhook: "Webhook", since: "for", lastEvent: "last event", lastPong: "last pong", attempts: "attempts", acked: "acknowledged", overdue: "overdue", never: "none yet",
    open: "Open", connectingLink: "Connecting", waitingLink: "Waiting to reconnect", refused: "Refused for good", closed: "Closed", botId: "bot's open_id", unknown: "not known yet", lastError: "reason",
    accepted: "accepted", challenges: "challenges", rejected: "failed a check", refusedPush: "refused, pushed again",
    agoStrip: (span) => `${span} ago`, now: "now", up: "up", down: "down",
    turns: "Running turns", noTurns: "Nothing is being answered right now.", thinking: "thinking", writing: (chars) => `writing, ${chars} characters`, retrying: (n) => `the model did not answer; try ${n}`,
    approval: (tool) => `waits for approval of ${tool}`, waitsAnswer: "waits for a person's answer",
    ends: "Last answers and errors", noEnds: "None yet.", end: { answered: "answered", failed: "failed", stopped: "stopped", refused: "refused", silent: "silent", given_up: "not sent" },
    events: "Last events", noEvents: "No event has come in yet.", fate: { admitted: "taken in", duplicate: "twice", ignored: "left alone", not_understood: "not read", refused: "refused", click: "click" },
    kinds: { command: "command", late_message: "late message", busy: "busy", marked: "busy (a mark)", refused: "not allowed" }, toolsN: (n) => (n === 1 ? "1 tool" : `${n} tools`),
    ackTime: "Time to acknowledge", modelTime: "Time to the model's reply", mean: (span, n) => `mean ${span} · ${n} in all`, noneYet: "Nothing measured yet.", longer: "more",
    store: "Store", noStore: "The store does not answer.", size: "size", wal: "write-ahead log", queued: "waiting turns", outbox: "to be sent", dead: "given up", commits: "commits", perCommit: "commands each", commitTime: "time each",
    config: "Configuration in force", byDefault: "default", noSecrets: "secrets are not shown",
  },
};

/** Why messages are left alone and links end, as the daemon says it. */
const REASONS_ZH = {
  "sent by this bot": "本机器人自己发的",
  "sent by a bot": "其他机器人发的",
  "sent by a bot that does not mention this one": "其他机器人发的，没有 @ 本机器人",
  "the bot is switched off in this group": "本群已关闭机器人",
  "the group is not on the allow list": "本群不在允许名单中",
  "the sender is not on the allow list": "发送者不在允许名单中",
  "the bot is not mentioned": "没有 @ 机器人",
  "the sender may not talk to the bot, and was told": "发送者无权使用，已告知",
  "bots have talked among themselves for long enough": "机器人之间的对话已达上限",
  "stopped by a person": "被人停止",
  "no connection came about in time": "未能及时建立连接",
  "Feishu closed it": "飞书关闭了连接",
  "the network lost it": "网络中断",
  "it was deaf: no pong came in time": "连接失聪：心跳没有应答",
};

let language = "zh";

export const languageNow = () => language;
export function speak(which) { language = WORDS[which] ? which : "zh"; }
export function t(key, ...values) {
  const word = WORDS[language][key];
  return typeof word === "function" ? word(...values) : word;
}
export const reason = (why) => (language === "zh" ? REASONS_ZH[why] ?? why : why);

export function span(ms) {
  if (ms < 1) return "<1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : language === "zh" ? `${Math.round(ms / 86_400_000)} 天` : `${Math.round(ms / 86_400_000)} days`;
}
export const ago = (ms) => (ms < 1000 ? t("now") : language === "zh" ? `${span(ms)} 前` : `${span(ms)} ago`);
export const clock = (ms) => new Date(ms).toLocaleTimeString(language === "zh" ? "zh-CN" : "en-GB");
export const moment = (ms) => new Date(ms).toLocaleString(language === "zh" ? "zh-CN" : "en-GB");
export const count = (n) => (n < 100_000 ? n.toLocaleString("en-US") : new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }).format(n));
export function bytes(n) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (n >= 1000 && at < units.length - 1) { n /= 1000; at += 1; }
  return `${n < 10 && at > 0 ? n.toFixed(1) : Math.round(n)} ${units[at]}`;
}

/** Storage may be forbidden; the page works without. */
export function remember(key, value, where = "localStorage") {
  try { globalThis[where].setItem(`xiaoo.${key}`, value); } catch { /* not kept */ }
}
export function remembered(key, where = "localStorage") {
  try { return globalThis[where].getItem(`xiaoo.${key}`); } catch { return null; }
}
