//! The meanings of the keys in Chinese, by what they are in English: whoever changes one has to
//! see to the other.

/// What is said in Chinese for a meaning of the schema.
pub(super) fn chinese(english: &str) -> Option<&'static str> {
    let found = MEANINGS.iter().find(|(known, _)| *known == english);
    found.map(|(_, chinese)| *chinese)
}

/// English, and the same in Chinese; in the order of the schema.
pub(super) const MEANINGS: &[(&str, &str)] = &[
    ("The model that answers.", "回答问题的模型。"),
    ("Who it is.", "它是谁。"),
    ("What it can read up on.", "它可以查阅的技能。"),
    (
        "Where what must not be lost is kept.",
        "不能丢的东西存在哪里。",
    ),
    ("What may be used up at once.", "同时最多能占用多少。"),
    ("The daemon's own pages.", "守护进程自己的页面。"),
    ("What the model may do.", "模型可以做什么。"),
    (
        "Whose dialect is spoken: openrouter, deepseek, zhipu, moonshot, openai, ollama, llamacpp, litellm, vllm, or compatible for any other OpenAI-compatible server.",
        "使用哪家的接口方言：openrouter、deepseek、zhipu、moonshot、openai、ollama、llamacpp、litellm、vllm；其他兼容 OpenAI 的服务写 compatible。",
    ),
    (
        "Where it answers, up to and including the version part. Needed where the provider has no address of its own.",
        "服务地址，写到版本号为止（含版本号）。该服务商没有固定地址时必填。",
    ),
    (
        "The model's name, as the server knows it.",
        "模型名，与服务端的叫法一致。",
    ),
    (
        "The variable that holds the key. Local servers need none.",
        "存放密钥的环境变量名。本地服务不需要密钥。",
    ),
    (
        "Tokens of one answer; the server's own default when absent.",
        "一次回答的 token 上限；不写则用服务端默认值。",
    ),
    (
        "Seconds in which the model must send something. There is no limit on a whole answer: one that keeps coming is a good one.",
        "模型在这么多秒内必须有输出。整个回答没有时限：只要还在输出，就是好的。",
    ),
    (
        "Tokens that the model can read; bounds how much of a conversation is sent.",
        "模型能读的 token 数；决定会话历史带上多少。",
    ),
    (
        "Whether the model can see: pictures are then sent to it, else it gets their file names.",
        "模型能否看图：能则把图片发给它，否则只给文件名。",
    ),
    (
        "What prices are in, here and at other models; only shown, beside the sums.",
        "价格的币种，这里和其他模型都用它；只用于显示。",
    ),
    (
        "Models to ask, in this order, when the one before is down. With neither provider nor api_base of its own one is asked at the server of [llm].",
        "前一个模型不可用时依次改问的模型。既没写 provider 也没写 api_base 的，向 [llm] 的服务去问。",
    ),
    (
        "Further fields of the request, as the provider documents them.",
        "请求中的附加字段，按服务商的文档填写。",
    ),
    (
        "What a million tokens cost that the model reads. With it and output_price, /metrics counts what the model costs.",
        "模型每读入一百万 token 的价格。与 output_price 都写了，/metrics 才统计该模型的花费。",
    ),
    (
        "What a million of those cost that the server still knew from before; as the others when absent.",
        "其中命中服务端缓存的部分每一百万 token 的价格；不写则与其余部分相同。",
    ),
    (
        "What a million tokens cost that the model writes.",
        "模型每输出一百万 token 的价格。",
    ),
    ("As in [llm].", "同 [llm]。"),
    (
        "The model's name, as its server knows it.",
        "模型名，与其服务端的叫法一致。",
    ),
    (
        "The variable that holds this server's key.",
        "存放该服务密钥的环境变量名。",
    ),
    ("The Feishu or Lark app.", "飞书或 Lark 应用。"),
    (
        "false leaves the channel off; its other keys are then not demanded.",
        "false 停用此渠道；其他必填项也就不再要求。",
    ),
    (
        "How events come in: Feishu posts them to a public URL, or the daemon opens a long connection.",
        "事件如何进来：飞书推送到公网地址，或由守护进程建立长连接。",
    ),
    (
        "App ID, from the app's credentials page.",
        "App ID，见应用的“凭证与基础信息”页。",
    ),
    (
        "The variable that holds the App Secret.",
        "存放 App Secret 的环境变量名。",
    ),
    (
        "Verification Token, from the app's event page; proves the origin of webhook events.",
        "Verification Token，见应用的事件订阅页；用来证明 Webhook 事件的来源。",
    ),
    (
        "The variable that holds the Encrypt Key, if the app has one: webhook events are then encrypted and signed.",
        "存放 Encrypt Key 的环境变量名（应用设置了才需要）：Webhook 事件将被加密并签名。",
    ),
    (
        "true runs a webhook with neither token nor key: anyone who finds the URL can speak as anyone.",
        "true 允许 Webhook 既无 token 也无密钥：任何知道地址的人都能冒充任何人。",
    ),
    (
        "Whose cloud: open.feishu.cn or open.larksuite.com.",
        "哪一朵云：open.feishu.cn 或 open.larksuite.com。",
    ),
    (
        "Where the OpenAPI is, if not at the domain's own address: a private deployment, or a simulator on this machine.",
        "OpenAPI 的地址，若不是该域名自己的地址：私有化部署，或本机模拟器。",
    ),
    (
        "The first part of every conversation's id. Daemons that share a store have the same.",
        "每个会话 ID 的前缀。共用一个存储的守护进程必须相同。",
    ),
    (
        "The reaction on a message while it is worked on, one of Feishu's emoji names; \"off\" for none.",
        "处理期间加在消息上的表情回复，用飞书的表情名；\"off\" 为不加。",
    ),
    (
        "What is shown while a turn runs: a card, the growing answer (a card, for now), or nothing.",
        "处理期间展示什么：卡片、逐渐增长的回答（目前也是卡片），或什么都不展示。",
    ),
    (
        "After an outage of so many seconds the chats that are known are read back, and what was missed is answered late. Feishu itself pushes again for 7 h 22 min (26520). In groups this needs the permission im:message.group_msg. Off when absent.",
        "中断超过这么多秒之后，把已知的会话读回来，补答错过的消息。飞书自身会在 7 小时 22 分（26520 秒）内重推。群聊需要权限 im:message.group_msg。不写则关闭。",
    ),
    (
        "In groups, answer only when the bot is mentioned.",
        "在群里只在被 @ 时回答。",
    ),
    (
        "A mention of everyone counts as a mention of the bot.",
        "@所有人 是否算作 @ 机器人。",
    ),
    (
        "Who may talk to the bot directly; allowlist means allow_users, pairing also whoever an admin has let in by a code.",
        "谁可以私信机器人；allowlist 指 allow_users，pairing 还包括管理员凭配对码放行的人。",
    ),
    (
        "In which groups it answers; allowlist means allow_chats.",
        "在哪些群里回答；allowlist 指 allow_chats。",
    ),
    ("Open ids.", "用户的 open_id。"),
    ("Chat ids.", "群的 chat_id。"),
    (
        "Open ids that are always let in.",
        "总是放行的人的 open_id。",
    ),
    (
        "Further certificate authorities (PEM), for a proxy with its own.",
        "额外信任的证书颁发机构（PEM 文件），用于自带证书的代理。",
    ),
    (
        "One host, or suffix with a leading dot, that the long connection may go to beside the vendor's own.",
        "除官方域名外，长连接还可以连到的一个主机名，或以点开头的域名后缀。",
    ),
    ("Exceptions for single chats.", "个别群的例外。"),
    (
        "Whether other bots are answered, where they mention this one.",
        "其他机器人 @ 它时是否回答。",
    ),
    (
        "Answers in a row that other bots get in one chat before a person has to say something: two bots must not talk for ever.",
        "在同一个群里最多连续回答其他机器人多少次，之后须有人说话：两个机器人不该没完没了地对话。",
    ),
    (
        "Which of [[agents.list]] answers here; else the default one.",
        "由 [[agents.list]] 中的哪一个回答；不写则用默认的那个。",
    ),
    (
        "Turns that run at once for this bot; [limits] says so when absent.",
        "该机器人同时处理的轮次；不写则用 [limits] 的值。",
    ),
    (
        "Further bots in the same daemon, each with an app, a route (/api/v1/channels/ID/events, where ID is its channel_instance_id), limits and a store of its own.",
        "同一守护进程里的其他机器人，各有自己的应用、路由（/api/v1/channels/ID/events，其中 ID 是它的 channel_instance_id）、限额和存储。",
    ),
    (
        "false: not here; true: here, whatever group_policy says.",
        "false：不在此群回答；true：在此群回答，不论 group_policy。",
    ),
    ("Overrides the channel's.", "覆盖渠道的设置。"),
    (
        "Which agent answers; else the one with default = true, else the first.",
        "由哪个智能体回答；不写则是 default = true 的那个，再不然是第一个。",
    ),
    ("The agents.", "智能体列表。"),
    ("Its name.", "它的名字。"),
    (
        "Whether it answers when default_agent_id does not say.",
        "default_agent_id 没写时是否由它回答。",
    ),
    ("The directory it works in.", "它工作的目录。"),
    (
        "The directory of its own data; the store is here unless [store] says otherwise.",
        "它自己的数据目录；[store] 没有另行指定时，存储也在这里。",
    ),
    (
        "Its own model instead of [llm]'s.",
        "用它自己的模型，而不是 [llm] 的。",
    ),
    (
        "What that model costs, as in [llm].",
        "该模型的价格，写法同 [llm]。",
    ),
    (
        "Its own instructions instead of the built-in ones.",
        "用它自己的系统提示词，而不是内置的。",
    ),
    (
        "The tools it has, by name; the usual ones and those of [tools] enable when absent.",
        "它有哪些工具（按名字）；不写则为常用工具加上 [tools] enable 中的。",
    ),
    (
        "The skills it has, by name; all when absent.",
        "它有哪些技能（按名字）；不写则为全部。",
    ),
    (
        "Chats in which it answers instead of the default one (chat ids).",
        "在哪些群里由它而不是默认智能体回答（chat_id）。",
    ),
    (
        "People whom it answers instead of the default one, where the chat does not say (open ids).",
        "群没有指定时，由它回答哪些人（open_id）。",
    ),
    (
        "Directories of skills, in order of precedence; behind .xiaoo/skills of the workspace, before ~/.xiaoo/skills and /usr/lib/.xiaoo/skills.",
        "技能目录，按优先级排列；排在工作区的 .xiaoo/skills 之后，~/.xiaoo/skills 和 /usr/lib/.xiaoo/skills 之前。",
    ),
    (
        "Tools beyond the usual ones: shell, web_fetch, ask_user.",
        "常用工具之外再启用：shell、web_fetch、ask_user。",
    ),
    (
        "Tools that ask the person in the chat before each call, by name, or with a * at the end; shell when absent.",
        "每次调用前先征求当事人同意的工具，按名字，或以 * 结尾；不写则为 shell。",
    ),
    (
        "Seconds in which somebody must agree; silence is a no.",
        "须在这么多秒内同意；不回应视为拒绝。",
    ),
    (
        "Commands in a sandbox, in the conversation's directory.",
        "在会话目录中、沙箱里执行命令。",
    ),
    ("Pages of the web.", "抓取网页。"),
    (
        "Servers of the Model Context Protocol: a program to start, or an address.",
        "MCP 服务器：一个要启动的程序，或一个地址。",
    ),
    (
        "Seconds that one command may take.",
        "一条命令的时限（秒）。",
    ),
    (
        "Whether commands may use the network.",
        "命令能否使用网络。",
    ),
    (
        "Megabytes of memory that one process of a command may take.",
        "一条命令的单个进程最多占用的内存（MB）。",
    ),
    (
        "Processes that one command may have.",
        "一条命令最多的进程数。",
    ),
    (
        "true runs commands without a sandbox where the kernel has none; else they are refused there. Whoever talks to the bot can then do what the daemon's user can.",
        "true 允许在内核不支持沙箱时不隔离地执行命令，否则在那里拒绝执行。和机器人说话的人便能做守护进程用户能做的一切。",
    ),
    (
        "Hosts that may be fetched although their addresses are private, by name, or with a leading dot for all below; with :PORT for one beside 80, 443, 8080 and 8443.",
        "允许抓取的内网主机，按名字，或以点开头表示其下全部；80、443、8080、8443 之外的端口写成 :PORT。",
    ),
    ("The program that is the server.", "作为服务器的程序。"),
    ("Its arguments.", "它的参数。"),
    (
        "Variables that are passed on to it, by name; it gets no others but PATH, HOME and the language.",
        "传给它的环境变量名；此外只有 PATH、HOME 和语言设置。",
    ),
    (
        "Instead of `command`, `args` and `env`, the server's address, such as \"https://mcp.example.com/mcp\".",
        "不写 `command`、`args` 和 `env` 时，服务器的地址，例如 \"https://mcp.example.com/mcp\"。",
    ),
    (
        "The variable that holds the token for that address, such as \"MCP_TOKEN\".",
        "存放该地址访问令牌的环境变量名，例如 \"MCP_TOKEN\"。",
    ),
    (
        "Which of its tools are offered; all when absent.",
        "提供它的哪些工具；不写则为全部。",
    ),
    (
        "Whether tools that are not declared read-only ask the person in the chat first.",
        "未声明只读的工具是否先征求当事人同意。",
    ),
    ("Seconds that one call may take.", "一次调用的时限（秒）。"),
    (
        "sqlite:PATH (relative to this file), or postgres://USER@HOST:PORT/DATABASE for several daemons on one store, with ?schema=NAME where others have tables in it; xiaoo.db in the default agent's agent_dir when absent, else in ~/.local/state/xiaoo.",
        "sqlite:路径（相对于本文件）；多个守护进程共用时写 postgres://USER@HOST:PORT/DATABASE，库里有别人的表时加 ?schema=NAME。不写则为默认智能体 agent_dir 中的 xiaoo.db，再不然在 ~/.local/state/xiaoo。",
    ),
    (
        "The variable with the server's password; PGPASSWORD when absent. A password in the url works too, and is then in this file.",
        "存放数据库密码的环境变量名；不写则用 PGPASSWORD。也可以写在 url 里，那样密码就在本文件中。",
    ),
    (
        "Turns that run at once, over all conversations.",
        "所有会话合计，同时处理的轮次。",
    ),
    ("Seconds that one turn may take.", "一轮处理的时限（秒）。"),
    (
        "Questions to the model in one turn.",
        "一轮中最多向模型提问的次数。",
    ),
    (
        "Messages that may wait in one conversation; to more the answer is that it is busy, once in a while.",
        "一个会话中最多排队的消息；再多则偶尔提示正忙。",
    ),
    ("Messages that may wait in all.", "合计最多排队的消息。"),
    (
        "Seconds after which a message is too old to be answered, after an outage say; no limit when absent.",
        "消息超过这么多秒就不再回答（例如长时间中断之后）；不写则不限。",
    ),
    (
        "What happens to a message that is too old: its sender is told, or nothing but a line in the log.",
        "过旧的消息怎么办：告知发送者，或只写一行日志。",
    ),
    (
        "Milliseconds in which an event must be durable, or it is refused and sent again. Feishu gives up after 3000.",
        "事件须在这么多毫秒内落盘，否则拒收，由飞书重推。飞书的时限是 3000。",
    ),
    (
        "Seconds that running turns may go on after the daemon was told to stop; what is left goes on at the next start.",
        "收到停止指令后，正在处理的轮次还可以继续多少秒；没做完的下次启动时继续。",
    ),
    (
        "Messages of one person that are answered in a day (UTC+8); no limit when absent.",
        "每人每天（UTC+8）最多回答的消息数；不写则不限。",
    ),
    (
        "Tokens that one person may use in a day; no limit when absent.",
        "每人每天最多用的 token；不写则不限。",
    ),
    (
        "Messages that are answered in one chat in a day; no limit when absent.",
        "每个群每天最多回答的消息数；不写则不限。",
    ),
    (
        "Tokens that one chat may use in a day; no limit when absent.",
        "每个群每天最多用的 token；不写则不限。",
    ),
    (
        "Megabytes of one file that is taken from a chat.",
        "从会话接收的单个文件上限（MB）。",
    ),
    (
        "Megabytes that the files of one conversation may take together.",
        "一个会话的文件合计上限（MB）。",
    ),
    (
        "The variable that holds the token that callers from other machines present (Authorization: Bearer …) for metrics, the dashboard and the details of readiness. Without one the dashboard is for this machine alone, and metrics and readiness are for whoever reaches the port.",
        "存放访问令牌的环境变量名。其他机器查看指标、仪表盘和就绪详情时须出示它（Authorization: Bearer …）。不设置时，仪表盘只能在本机查看，指标和就绪状态则对能访问端口的人开放。",
    ),
    ("Whether /metrics answers.", "是否提供 /metrics。"),
    ("Whether / shows the dashboard.", "是否在 / 提供仪表盘。"),
];
