//! Everything that is known to go wrong between a fresh app and an answer: what it is, why, and
//! what to do. The one table behind `doctor`, `doctor explain` and docs/troubleshooting.md.

pub use crate::commands::console::Page;
pub use crate::commands::words::Words;

/// One thing that goes wrong.
#[derive(Debug)]
pub struct Finding {
    /// Its name, for scripts and searches.
    pub id: &'static str,
    /// What is wrong.
    pub title: Words,
    /// Why, mostly.
    pub cause: Words,
    /// What to do.
    pub fix: Words,
    /// Where in the console.
    pub page: Page,
    /// What the console, the log or a person says of it; matched by `doctor explain`.
    pub says: &'static [&'static str],
    /// Codes of the platform that mean it.
    pub codes: &'static [i64],
}

macro_rules! findings {
    ($($name:ident $id:literal $page:ident
       $title:literal $title_zh:literal
       $cause:literal $cause_zh:literal
       $fix:literal $fix_zh:literal
       says [$($says:literal),*] codes [$($code:literal),*];)*) => {
        $(
            #[doc = $title]
            pub static $name: Finding = Finding {
                id: $id,
                title: Words { en: $title, zh: $title_zh },
                cause: Words { en: $cause, zh: $cause_zh },
                fix: Words { en: $fix, zh: $fix_zh },
                page: Page::$page,
                says: &[$($says),*],
                codes: &[$($code),*],
            };
        )*
        /// All of them, in the order in which they are looked for.
        pub static ALL: &[&Finding] = &[$(&$name),*];
    };
}

findings! {
    CONFIG_WRONG "config-wrong" Nowhere
        "The configuration can't be used" "配置不可用"
        "A key is missing, misspelt or has a wrong value, or the file isn't there." "缺少配置项、名称拼错、取值不对，或文件不存在。"
        "Correct each line that is named. Every key: deploy/examples/reference.toml." "按提示逐行修改。全部配置项见 deploy/examples/reference.toml。"
        says ["unknown key", "can't be read", "exits with status 2"] codes [];
    VARIABLE_MISSING "variable-missing" Credentials
        "An environment variable with a secret is missing" "缺少保存密钥的环境变量"
        "The variable that a key ending in _env names is not set where the daemon runs." "以 _env 结尾的配置项所指的变量，在守护进程的环境里没有设置。"
        "Put it into xiaoo.env and restart the daemon; export it where the daemon is started by hand. A service sees nothing of a shell." "写进 xiaoo.env，然后重启守护进程；手动启动时在该终端 export。服务看不到终端里的变量。"
        says ["environment variable is not set", "FEISHU_APP_SECRET is not set", "is empty"] codes [];
    ENV_FILE_UNREADABLE "env-file-unreadable" Nowhere
        "The environment file can't be read" "环境变量文件无法读取"
        "It isn't there, or belongs to somebody else." "文件不存在，或当前用户无权读取。"
        "Create it as EnvironmentFile= of the unit says, with mode 0600, or run doctor as its owner." "按服务单元里的 EnvironmentFile= 创建（权限 0600），或以其所有者身份运行 doctor。"
        says ["Failed to load environment files"] codes [];
    SECRETS_READABLE "secrets-readable" Nowhere
        "The file with the secrets can be read by others" "密钥文件可被其他用户读取"
        "Its mode lets its group or everybody read it." "文件权限允许同组或所有人读取。"
        "chmod 600 FILE" "chmod 600 文件"
        says ["0644", "chmod"] codes [];
    UNIT_OTHER_CONFIG "unit-other-config" Nowhere
        "The systemd unit starts the daemon with another configuration" "systemd 单元用的是另一份配置"
        "ExecStart= of the unit names another --config than the one that was checked." "单元 ExecStart= 里的 --config 与本次检查的文件不同。"
        "Check that file instead (doctor --config), or correct the unit; then systemctl daemon-reload and restart." "改为检查那份文件（doctor --config），或修改单元；然后 systemctl daemon-reload 并重启。"
        says [] codes [];
    UNIT_NO_SECRETS "unit-no-secrets" Nowhere
        "The systemd unit gives the daemon no environment file" "systemd 单元没有指定环境变量文件"
        "A service doesn't see what was exported in a shell." "服务看不到终端里 export 的变量。"
        "Add EnvironmentFile=/opt/xiaoo/config/xiaoo.env to [Service]; then systemctl daemon-reload and restart." "在 [Service] 加 EnvironmentFile=/opt/xiaoo/config/xiaoo.env；然后 systemctl daemon-reload 并重启。"
        says ["works in my shell but not as a service"] codes [];
    BINARY_REPLACED "binary-replaced" Nowhere
        "The daemon still runs the program from before it was replaced" "守护进程仍在运行被替换前的程序"
        "The file was installed anew, and the daemon was not restarted." "程序文件已更新，但守护进程没有重启。"
        "systemctl restart xiaoo-rebuild.service" "systemctl restart xiaoo-rebuild.service"
        says [] codes [];
    BINARY_DIFFERS "binary-differs" Nowhere
        "The daemon runs another build than this one" "守护进程运行的不是当前这个构建"
        "What was built was not installed, or the daemon was started from somewhere else." "新构建没有安装，或守护进程从别处启动。"
        "Install the build that you mean, and restart the daemon." "安装你想用的构建，并重启守护进程。"
        says ["old version is running"] codes [];
    NOT_RESTARTED "not-restarted" Nowhere
        "The daemon runs with the settings of before" "守护进程仍在使用旧设置"
        "A file that it reads when it starts was changed after that." "启动时读取的文件在启动之后被修改过。"
        "systemctl restart xiaoo-rebuild.service" "systemctl restart xiaoo-rebuild.service"
        says ["changed the configuration and nothing happens", "改了配置没有生效"] codes [];
    DISK_FULL "disk-full" Nowhere
        "The disk of the store is nearly full" "存储所在磁盘快满了"
        "Less than 64 MB are left; soon events can't be made durable, and are refused." "剩余不足 64 MB；事件很快将无法落盘而被拒收。"
        "Make room, or move the store." "清理空间，或迁移存储。"
        says ["No space left on device", "database or disk is full"] codes [];
    STORE_DAMAGED "store-damaged" Nowhere
        "The store is damaged or inconsistent" "存储已损坏或不一致"
        "A disk failed, the file was changed by something else, or it is no store of xiaoO's." "磁盘故障、文件被其他程序改动，或它不是 xiaoO 的存储。"
        "xiaoo-app store check says more; how to save what can be saved: deploy/README.md." "用 xiaoo-app store check 查看详情；抢救办法见 deploy/README.zh-CN.md。"
        says ["database disk image is malformed", "file is not a database"] codes [];
    STORE_UNREACHABLE "store-unreachable" Nowhere
        "The store can't be opened" "存储无法打开"
        "The file may not be read by this user, or the database server doesn't answer." "当前用户无权读取文件，或数据库服务器没有应答。"
        "Run doctor as the daemon's user; on PostgreSQL see that the server runs and the password is right." "以守护进程的用户运行 doctor；使用 PostgreSQL 时确认服务器在运行且密码正确。"
        says ["unable to open database file"] codes [];
    CA_FILE_UNUSABLE "ca-file-unusable" Nowhere
        "ca_file can't be used" "ca_file 不可用"
        "The file isn't there or holds no certificate in PEM form." "文件不存在，或不含 PEM 格式的证书。"
        "Name the PEM file of your proxy's certificate authority, or remove the key." "填写代理 CA 的 PEM 文件，或删除该配置项。"
        says ["ca_file cannot be used"] codes [];
    DNS_FAILS "dns-fails" Nowhere
        "A name can't be resolved" "域名无法解析"
        "This machine has no working DNS, or the host's name is misspelt." "本机 DNS 不可用，或主机名写错。"
        "See that `getent hosts open.feishu.cn` answers; check base_url, llm.api_base and /etc/resolv.conf." "确认 `getent hosts open.feishu.cn` 有结果；检查 base_url、llm.api_base 与 /etc/resolv.conf。"
        says ["Temporary failure in name resolution", "Name or service not known", "dns error"] codes [];
    PROXY_UNREACHABLE "proxy-unreachable" Nowhere
        "The proxy that the environment names can't be reached" "环境变量里的代理无法连接"
        "HTTPS_PROXY or HTTP_PROXY names an address at which nothing answers." "HTTPS_PROXY 或 HTTP_PROXY 指向的地址没有应答。"
        "Correct the variable, or remove it; exceptions go into NO_PROXY." "修正或删除该变量；例外写入 NO_PROXY。"
        says ["tunnel error", "proxy connect"] codes [];
    TLS_UNTRUSTED "tls-untrusted" Nowhere
        "The certificate is not trusted" "证书不受信任"
        "A proxy decrypts the traffic, the system's certificates are missing, or the clock is wrong." "代理在解密流量、系统缺少根证书，或时钟不准。"
        "Name the proxy's certificate authority with ca_file, install ca-certificates, set the clock." "用 ca_file 指定代理的 CA，安装 ca-certificates，校准时钟。"
        says ["invalid peer certificate", "UnknownIssuer", "certificate verify failed", "self-signed certificate"] codes [];
    FEISHU_UNREACHABLE "feishu-unreachable" Nowhere
        "Feishu can't be reached" "无法连接飞书"
        "No way out: a firewall, no route, or a wrong base_url." "出网不通：防火墙、路由，或 base_url 写错。"
        "curl -v https://open.feishu.cn must connect from this machine. Behind a proxy set HTTPS_PROXY." "在本机 curl -v https://open.feishu.cn 必须能连上。需要代理时设置 HTTPS_PROXY。"
        says ["connection refused", "network is unreachable", "error sending request"] codes [];
    FEISHU_SILENT "feishu-silent" Nowhere
        "Feishu doesn't answer in time" "飞书没有及时应答"
        "Packets are dropped on the way, or the platform has trouble." "途中丢包，或平台故障。"
        "Try again; look at the firewall and the platform's status page." "重试；检查防火墙与平台状态页。"
        says ["the endpoint did not answer"] codes [];
    NOT_FEISHU "not-feishu" Nowhere
        "Something else answers in Feishu's place" "应答的不是飞书"
        "base_url leads elsewhere, or a proxy shows a page of its own." "base_url 指向别处，或代理返回了自己的页面。"
        "base_url must be https://open.feishu.cn or https://open.larksuite.com; log in at the proxy." "base_url 应为 https://open.feishu.cn 或 https://open.larksuite.com；在代理处完成登录。"
        says ["expected value at line 1 column 1"] codes [];
    CLOCK_SKEW "clock-skew" Nowhere
        "This machine's clock is wrong" "本机时钟不准"
        "It differs from Feishu's by more than a minute; signed events are then refused as too old." "与飞书相差超过一分钟；带签名的事件会因过期被拒收。"
        "timedatectl set-ntp true" "timedatectl set-ntp true"
        says ["timestamp is too old", "stale", "certificate is not yet valid"] codes [];
    SECRET_WRONG "secret-wrong" Credentials
        "Feishu doesn't accept App ID and App Secret" "飞书不接受 App ID 与 App Secret"
        "The secret was reset or copied wrongly, belongs to another app, or the app is on the other platform (Feishu, Lark)." "密钥被重置、复制有误、属于别的应用，或应用在另一平台（飞书 / Lark）。"
        "Copy both again from the credentials page, put the secret into its variable, restart." "从凭证页重新复制两者，把密钥写入对应变量并重启。"
        says ["invalid app_secret", "app secret invalid", "tenant token fetch fails", "invalid param", "wrong app id or secret"] codes [10003, 10005, 10014, 10015, 514, 99991543];
    APP_DISABLED "app-disabled" Versions
        "The app is disabled" "应用已停用"
        "An administrator of the tenant has switched it off." "企业管理员停用了该应用。"
        "Have it enabled in the tenant's admin console." "请管理员在管理后台启用。"
        says ["app is disabled", "应用已停用"] codes [99991662, 232034];
    NOT_PUBLISHED "not-published" Versions
        "The app is a draft: no version is published" "应用仍是草稿：没有发布版本"
        "What is changed in the console counts only in a published version." "后台的修改只有在发布版本之后才生效。"
        "Create a version, publish it, and have it approved." "创建版本并发布，等待审核通过。"
        says ["callback configured successfully but real messages still do not arrive", "callback URL configured successfully but real messages do not arrive", "real messages do not arrive", "URL accepted, no messages", "配置成功但收不到消息", "draft", "app is not installed", "应用未安装"] codes [99991673];
    BOT_OFF "bot-off" Bot
        "The app has no bot" "应用没有机器人能力"
        "The bot capability was not added, or is switched off." "没有添加机器人能力，或已关闭。"
        "Add the Bot capability, and publish a version." "添加“机器人”能力，并发布版本。"
        says ["app do not have bot", "bot ability is not activated", "机器人能力未启用"] codes [230006, 11205, 232025];
    IP_NOT_ALLOWED "ip-not-allowed" Credentials
        "This machine's address is not on the app's list" "本机 IP 不在应用白名单"
        "The app allows calls from listed addresses only." "应用只允许白名单里的地址调用。"
        "Add this machine's public address to the list, or empty it." "把本机公网地址加入白名单，或清空白名单。"
        says ["denied by app setting", "ip is not in whitelist", "IP 白名单"] codes [99991401];
    SCOPE_MISSING "scope-missing" Permissions
        "The app lacks a permission" "应用缺少权限"
        "It was not asked for, not granted, or the version with it is not published." "没有申请、没有获批，或含该权限的版本没有发布。"
        "Add the named permissions, and publish a version." "添加所列权限，并发布版本。"
        says ["Access denied. One of the following scopes is required", "permission_violations", "bot receives messages but cannot reply", "bot replies fail after message is received", "能收到消息但无法回复", "权限不足"] codes [99991672, 99991676, 99991679, 230027];
    FEISHU_REFUSES "feishu-refuses" Nowhere
        "Feishu refuses a call" "飞书拒绝了调用"
        "Its code and words stand beside." "见旁边的错误码和说明。"
        "xiaoo-app doctor explain CODE says what is known of it." "用 xiaoo-app doctor explain 错误码 查看含义。"
        says [] codes [];
    FEISHU_TROUBLE "feishu-trouble" Nowhere
        "Feishu has trouble of its own" "飞书自身故障"
        "The platform answers with a server error or is too busy." "平台返回服务器错误或繁忙。"
        "Wait; the daemon goes on by itself." "稍候；守护进程会自行恢复。"
        says ["system busy", "internal error", "系统繁忙"] codes [1, 1500, 2200, 5000, 1000040343, 99991400, 230020, 11232, 11233];
    EVENT_UNSUBSCRIBED "event-unsubscribed" Events
        "The published version doesn't subscribe to messages" "已发布的版本没有订阅消息事件"
        "im.message.receive_v1 was not added, or the version with it is not published." "没有添加 im.message.receive_v1，或含该事件的版本没有发布。"
        "Add im.message.receive_v1 in Events & Callbacks, and publish a version." "在“事件与回调”添加 im.message.receive_v1，并发布版本。"
        says ["challenge but not message events", "event not subscribed", "没有订阅事件"] codes [];
    BUTTONS_UNSUBSCRIBED "buttons-unsubscribed" Events
        "Buttons of cards are not subscribed" "没有订阅卡片按钮回调"
        "The callback card.action.trigger was not added: whoever presses a button sees an error." "没有添加回调 card.action.trigger：点按钮的人会看到错误。"
        "Add card.action.trigger in Events & Callbacks, under callbacks, and publish a version." "在“事件与回调”的回调配置中添加 card.action.trigger，并发布版本。"
        says ["card.action.trigger", "buttons do nothing", "按钮没有反应"] codes [200340];
    SUBSCRIPTION_MODE "subscription-mode" Events
        "The console delivers in the other way" "后台的订阅方式与配置不同"
        "One says webhook, the other persistent connection (websocket); events go where nobody listens." "一边是 webhook，另一边是长连接（websocket）；事件被送往无人接收之处。"
        "Choose in Events & Callbacks the way that channels.feishu.transport says, for events and callbacks, or change the key; then publish." "在“事件与回调”把事件和回调的订阅方式改成与 channels.feishu.transport 一致，或修改该配置项；然后发布。"
        says ["app still uses webhook subscription mode", "wrong subscription mode", "local websocket mode starts but receives no messages", "persistent connection never receives messages", "persistent connection mode enabled but the bot receives no messages", "订阅方式不一致"] codes [];
    LINK_FORBIDDEN "link-forbidden" Events
        "The app may not open a long connection" "应用不允许建立长连接"
        "It isn't a custom app, or the subscription mode doesn't allow it." "不是自建应用，或订阅方式不允许。"
        "Use a custom app, choose the persistent connection in Events & Callbacks, publish." "使用自建应用，在“事件与回调”选择长连接，并发布。"
        says ["the app is forbidden to connect"] codes [403];
    TOO_MANY_CONNECTIONS "too-many-connections" Nowhere
        "The app has as many long connections as it may" "应用的长连接数已达上限"
        "50 are open: forgotten daemons, or a reconnect loop somewhere." "已有 50 条：有被遗忘的守护进程，或某处在反复重连。"
        "Stop the daemons that are not needed." "停止不需要的守护进程。"
        says ["the number of connections exceeded the limit"] codes [1000040350];
    NO_ENDPOINT "no-endpoint" Nowhere
        "Feishu gives no usable address for the long connection" "飞书没有给出可用的长连接地址"
        "The answer holds no URL, or one to a host that may not be dialled." "应答里没有 URL，或主机不被允许。"
        "Check base_url and allowed_ws_hosts; a gateway must pass the answer on as it is." "检查 base_url 与 allowed_ws_hosts；网关须原样转发应答。"
        says ["the connection URL's host is not allowed", "holds no connection URL"] codes [];
    LINK_BLOCKED "link-blocked" Nowhere
        "The long connection can't be opened" "长连接无法建立"
        "HTTPS passes but the websocket doesn't: a firewall or proxy in between." "HTTPS 可通但 websocket 不通：中间有防火墙或代理。"
        "Let this machine reach *.feishu.cn (or *.larksuite.com) on port 443 with websockets." "放行本机到 *.feishu.cn（或 *.larksuite.com）443 端口的 websocket。"
        says ["persistent connection repeatedly reconnects", "websocket handshake", "长连接反复重连"] codes [];
    LINK_REFUSED "link-refused" Credentials
        "Feishu refuses the long connection" "飞书拒绝了长连接"
        "The gateway answered the handshake with a refusal." "网关在握手时拒绝。"
        "Check App ID and App Secret, and how many daemons of this app run." "检查 App ID 与 App Secret，以及该应用运行的守护进程数量。"
        says ["the handshake was refused", "refused for good"] codes [1000040344];
    SECOND_DAEMON "second-daemon" Nowhere
        "More long connections are open than this daemon has" "长连接数多于本守护进程所持有的"
        "Another daemon of the same app runs somewhere, and gets part of the messages." "同一应用的另一个守护进程在别处运行，会分走部分消息。"
        "Find and stop it (a laptop, an old server), or reset the App Secret." "找到并停止它（笔记本、旧服务器），或重置 App Secret。"
        says ["messages get lost", "every second message", "部分消息收不到"] codes [];
    MODEL_UNREACHABLE "model-unreachable" Nowhere
        "The model server can't be reached" "无法连接模型服务"
        "llm.api_base is wrong, the server is down, or a firewall is in between." "llm.api_base 有误、服务未启动，或被防火墙阻断。"
        "curl the address from this machine; it ends in the version part, such as /v1." "在本机 curl 该地址；地址以版本部分结尾，如 /v1。"
        says ["the connection to the model server failed"] codes [];
    MODEL_KEY "model-key" Nowhere
        "The model server doesn't accept the key" "模型服务不接受密钥"
        "The key is wrong, revoked, or of another provider." "密钥有误、已吊销，或属于别家。"
        "Put a good key into the variable that llm.api_key_env names, and restart." "把正确的密钥写入 llm.api_key_env 所指的变量并重启。"
        says ["does not accept the API key", "Incorrect API key"] codes [];
    MODEL_UNKNOWN "model-unknown" Nowhere
        "The model server knows no such model" "模型服务没有这个模型"
        "llm.model is misspelt or not offered there, or api_base has a wrong path." "llm.model 拼错或该处不提供，或 api_base 路径不对。"
        "Look the name up at the provider." "在模型服务商处核对名称。"
        says ["knows no such address or model"] codes [];
    MODEL_CREDIT "model-credit" Nowhere
        "The account at the model provider has no credit" "模型账户余额不足"
        "It is used up, or a limit was reached." "额度用尽，或达到上限。"
        "Top it up." "充值。"
        says ["insufficient_quota", "no credit left"] codes [];
    MODEL_BUSY "model-busy" Nowhere
        "The model server is overloaded or limits the rate" "模型服务过载或限流"
        "Too many requests, or a model that is still loading." "请求过多，或模型仍在加载。"
        "Wait, or configure a fallback model." "稍候，或配置备用模型。"
        says ["rate limit", "overloaded"] codes [];
    MODEL_SILENT "model-silent" Nowhere
        "The model server doesn't answer in time" "模型服务没有及时应答"
        "It is very slow, or something in between holds the answer back." "速度很慢，或中间环节截住了应答。"
        "Ask it by hand; configure a fallback model." "手动请求看看；配置备用模型。"
        says [] codes [];
    MODEL_REFUSES "model-refuses" Nowhere
        "The model server refuses the question" "模型服务拒绝请求"
        "A parameter or the model's name doesn't suit it." "参数或模型名不合要求。"
        "Its words stand beside; check llm.extra_body and llm.provider." "见旁边的说明；检查 llm.extra_body 与 llm.provider。"
        says ["refuses the request"] codes [];
    DAEMON_DOWN "daemon-down" Nowhere
        "The daemon doesn't run here" "守护进程没有在本机运行"
        "Nothing listens on the port." "该端口没有监听。"
        "systemctl start xiaoo-rebuild.service; journalctl -u xiaoo-rebuild.service says why it ended. Another port: doctor --port." "systemctl start xiaoo-rebuild.service；退出原因见 journalctl -u xiaoo-rebuild.service。其他端口用 doctor --port。"
        says ["daemon is down", "connection refused on 18080"] codes [];
    DAEMON_SILENT "daemon-silent" Nowhere
        "The daemon doesn't answer" "守护进程没有应答"
        "Its port is open, but no answer comes: it hangs, is stopped, or the machine is overloaded." "端口开着但没有应答：进程卡住、被暂停，或机器过载。"
        "systemctl restart xiaoo-rebuild.service; look at the load and at journalctl -u xiaoo-rebuild.service." "systemctl restart xiaoo-rebuild.service；检查负载与 journalctl -u xiaoo-rebuild.service。"
        says ["daemon hangs"] codes [];
    PORT_TAKEN "port-taken" Nowhere
        "Something else answers on the daemon's port" "守护进程的端口被别的程序占用"
        "Another program listens there." "另一个程序在监听该端口。"
        "Stop it, or give the daemon another --port (and nginx and doctor the same)." "停止它，或给守护进程换 --port（nginx 与 doctor 同步修改）。"
        says ["cannot listen on", "Address already in use"] codes [];
    NOT_READY "not-ready" Nowhere
        "The daemon runs, but is not ready" "守护进程在运行，但尚未就绪"
        "The reasons stand beside, as the daemon gives them." "原因见旁边，由守护进程给出。"
        "Solve what the checks above found; then look at the log." "先解决上面检查出的问题，再看日志。"
        says ["not ready", "persistent connection never receives messages", "persistent connection mode enabled but the bot receives no messages"] codes [];
    LINK_FLAPS "link-flaps" Nowhere
        "The long connection comes and goes" "长连接时断时续"
        "It had to be opened again several times an hour: something on the way cuts it." "每小时要重建好几次：途中有设备切断连接。"
        "The log names the reason of each loss (grep \"feishu websocket\"). Let firewalls and proxies keep connections for more than two minutes." "日志写明每次断开的原因（grep \"feishu websocket\"）。让防火墙和代理保留连接两分钟以上。"
        says ["persistent connection repeatedly reconnects", "长连接反复重连"] codes [];
    TOKEN_MISMATCH "token-mismatch" Events
        "The daemon doesn't take the verification token" "守护进程不接受该 Verification Token"
        "The token was changed and the daemon not restarted, or it runs with another configuration." "Token 改过而没有重启守护进程，或它用的是另一份配置。"
        "Compare channels.feishu.verification_token with the console (Encryption), restart the daemon." "核对 channels.feishu.verification_token 与后台“加密策略”，重启守护进程。"
        says ["verification token invalid", "invalid verification token", "token 校验失败"] codes [];
    KEY_MISMATCH "key-mismatch" Events
        "The daemon can't decrypt with this Encrypt Key" "守护进程无法用该 Encrypt Key 解密"
        "The key differs from the daemon's, or only one side has one." "密钥与守护进程的不同，或只有一方设置了密钥。"
        "Compare the Encrypt Key in the console with the variable of encrypt_key_env, restart the daemon." "核对后台 Encrypt Key 与 encrypt_key_env 所指变量，重启守护进程。"
        says ["cannot be decrypted", "encrypt key", "解密失败"] codes [];
    WEBHOOK_OFF "webhook-off" Events
        "The daemon runs in long-connection mode and takes no webhooks" "守护进程处于长连接模式，不接收 webhook"
        "It was started with another transport than the configuration now says." "启动时的 transport 与当前配置不同。"
        "Restart the daemon." "重启守护进程。"
        says ["not in webhook mode"] codes [];
    ANYONE_ACCEPTED "anyone-accepted" Nowhere
        "A challenge with a wrong token is answered" "错误的 Token 也通过了校验"
        "Something in front of the daemon answers by itself, or accept_unverified_events is on." "前面的某个环节自行应答，或开启了 accept_unverified_events。"
        "Set verification_token; let the proxy pass the answer on as it is." "设置 verification_token；让代理原样转发应答。"
        says [] codes [];
    NGINX_CONFIG "nginx-config" Nowhere
        "nginx's configuration has an error" "nginx 配置有错误"
        "nginx -t refuses it; until it is corrected a reload changes nothing." "nginx -t 不通过；修正之前重新加载不会生效。"
        "Correct the line that is named, then nginx -t && systemctl reload nginx" "修改所指的那一行，然后 nginx -t && systemctl reload nginx"
        says ["nginx: [emerg]", "nginx.conf test failed"] codes [];
    PUBLIC_DNS "public-dns" Nowhere
        "The public name can't be resolved" "公网域名无法解析"
        "The name has no DNS record yet, or is misspelt." "域名还没有解析记录，或拼写有误。"
        "Add an A record that points to this server." "添加指向该服务器的 A 记录。"
        says [] codes [];
    PUBLIC_UNREACHABLE "public-unreachable" Nowhere
        "The public URL can't be reached" "公网地址无法访问"
        "nginx doesn't run or listen there, or a firewall or security group closes the port." "nginx 未运行或未监听，或防火墙 / 安全组没有放行端口。"
        "nginx -t && systemctl reload nginx; open ports 80 and 443 in firewall and security group. Don't go on in the console before this works from another machine." "nginx -t && systemctl reload nginx；在防火墙和安全组放行 80 与 443。在另一台机器能访问之前，不要继续后台配置。"
        says ["请求超时", "request timed out", "timeout while verifying callback URL", "timed out", "callback configuration times out", "No request reaches xiaoO logs", "service works locally but Feishu cannot reach it", "challenge succeeds but browser access works while Feishu still fails"] codes [];
    PUBLIC_TLS "public-tls" Nowhere
        "The certificate of the public URL is not trusted" "公网地址的证书不受信任"
        "It has expired, is self-signed, for another name, or without its chain." "证书过期、自签、域名不符，或缺少中间证书。"
        "Install a full chain (fullchain.pem) of a public authority." "安装公共 CA 的完整证书链（fullchain.pem）。"
        says ["SSL 证书", "certificate has expired"] codes [];
    PUBLIC_REDIRECTS "public-redirects" Events
        "The public URL answers with a redirect" "公网地址返回了重定向"
        "http is sent on to https, or to another name; Feishu doesn't follow." "http 被跳转到 https 或其他域名；飞书不会跟随。"
        "Give Feishu the final address, with https." "在后台填写最终的 https 地址。"
        says ["301", "302"] codes [];
    PUBLIC_FOREIGN "public-foreign" Nowhere
        "Something else answers at the public URL" "公网地址应答的不是 xiaoO"
        "nginx's default site or another server answers for this name." "由 nginx 默认站点或其他服务应答。"
        "Set server_name in deploy/nginx/xiaoo.conf to this name, reload nginx." "在 deploy/nginx/xiaoo.conf 把 server_name 改为该域名，重新加载 nginx。"
        says ["Welcome to nginx"] codes [];
    NGINX_NO_DAEMON "nginx-no-daemon" Nowhere
        "nginx doesn't reach the daemon" "nginx 连不上守护进程"
        "proxy_pass names another port, or the daemon is down (502, 504)." "proxy_pass 端口不对，或守护进程未运行（502、504）。"
        "proxy_pass must lead to the daemon's --host and --port." "proxy_pass 必须指向守护进程的 --host 与 --port。"
        says ["502 Bad Gateway", "504 Gateway Time-out"] codes [502, 504];
    ROUTE_MISSING "route-missing" Nowhere
        "The public route is missing in nginx" "nginx 缺少公网路由"
        "There is no location for it, or nginx was not reloaded." "没有对应的 location，或没有重新加载 nginx。"
        "location = /api/v1/channels/xiaoo/events, as in deploy/nginx/xiaoo.conf; nginx -t && systemctl reload nginx" "按 deploy/nginx/xiaoo.conf 添加 location = /api/v1/channels/xiaoo/events；nginx -t && systemctl reload nginx"
        says ["challenge 校验失败", "challenge verification failed", "Feishu says challenge failed", "404 Not Found"] codes [404];
    NGINX_NOT_RELOADED "nginx-not-reloaded" Nowhere
        "nginx runs with the configuration of before" "nginx 仍在使用旧配置"
        "Its files on this machine have the route, but it answers as if there were none." "本机的配置文件里有该路由，但 nginx 的应答里没有。"
        "nginx -t && systemctl reload nginx" "nginx -t && systemctl reload nginx"
        says ["nginx never reloaded", "reload nginx"] codes [];
    ROUTE_MISMAPPED "route-mismapped" Nowhere
        "nginx passes the public route on to a wrong path" "nginx 把公网路由转到了错误的路径"
        "proxy_pass names a path that the daemon doesn't serve." "proxy_pass 的路径不是守护进程提供的路径。"
        "proxy_pass http://127.0.0.1:18080/api/v1/channels/feishu/events;" "proxy_pass http://127.0.0.1:18080/api/v1/channels/feishu/events;"
        says ["no such route"] codes [];
    INTERNAL_PUBLISHED "internal-published" Events
        "nginx publishes the internal path instead of the public one" "nginx 公开了内部路径而不是公网路径"
        "The location is /api/v1/channels/feishu/events; that is the daemon's own name." "location 写成了 /api/v1/channels/feishu/events，这是守护进程内部的路径。"
        "Name the location /api/v1/channels/xiaoo/events, and give Feishu that URL." "把 location 改为 /api/v1/channels/xiaoo/events，并在后台填写该 URL。"
        says ["internal path"] codes [];
    ROUTE_GUARDED "route-guarded" Nowhere
        "Something in front of the daemon wants a login or refuses POST" "守护进程前面的环节要求登录或拒绝 POST"
        "A gateway, basic auth, or a method filter: Feishu has no password." "网关、基本认证或方法过滤：飞书没有密码。"
        "Let POST to this one path through without login." "对这一路径放行 POST，且不要求登录。"
        says ["401 Authorization Required", "403 Forbidden", "405 Not Allowed"] codes [401, 405];
    CHALLENGE_SLOW "challenge-slow" Nowhere
        "The challenge is answered too slowly" "校验应答太慢"
        "Feishu waits one second for it." "飞书只等一秒。"
        "Look for a slow tunnel or an overloaded machine." "检查隧道延迟与机器负载。"
        says [] codes [];
    NO_EVENTS "no-events" Events
        "No event has arrived" "没有收到任何事件"
        "The event is not subscribed, the subscription mode is the other one, or the version is not published. With the permissions application:application.app_version:readonly and admin:app.info:readonly doctor sees which." "没有订阅事件、订阅方式选了另一种，或版本没有发布。授予 application:application.app_version:readonly 与 admin:app.info:readonly 后 doctor 能看出是哪一种。"
        "In Events & Callbacks choose the mode of this configuration, add im.message.receive_v1, publish a version, write to the bot; in groups mention it." "在“事件与回调”选择与配置一致的订阅方式，添加 im.message.receive_v1，发布版本，然后给机器人发消息；群里需要 @ 它。"
        says ["receives no messages", "never receives messages", "No request reaches xiaoO logs", "real messages do not arrive", "real messages still do not arrive", "收不到消息", "challenge but not message events", "silent in groups"] codes [];
}
