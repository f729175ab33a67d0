//! 中文。

use super::{Steps, Texts};

pub(super) static TEXTS: Texts = Texts {
    template: include_str!("../template.zh.toml"),
    env_header: "# 守护进程的密钥，变量名与 config.toml 中一致。\n",

    makes: |path| format!("新建：{path}。回车保留 [方括号] 中的值；Ctrl-C 退出，不写入任何内容。"),
    changes: |path| {
        format!("修改：{path}。回车保留 [方括号] 中的值；Ctrl-C 退出，不写入任何内容。")
    },
    which_bot: |names| format!("要修改哪个机器人：{names}"),
    no_such_bot: |name, names| format!("文件里没有机器人 {name:?}；现有：{names}"),

    app: |console| format!("飞书或 Lark 应用（{console}）"),
    app_id: "App ID",
    app_id_shape: "App ID 以 cli_ 开头，后面是字母和数字；见应用的“凭证与基础信息”页。",
    app_secret: "App Secret",
    knows_app_without_bot: |base| {
        format!("{base} 认得该应用；它还没有机器人能力，添加办法见最后的步骤")
    },
    knows_bot: |base, name| format!("{base} 认得它：机器人 {name:?}"),
    app_refused: "飞书拒绝了：",
    app_refused_alone: "App ID 与 App Secret 被拒绝；没有写入任何内容",
    not_tried: "无法验证：",
    keep_untested: "不验证就保留吗？",
    not_tried_alone: "没有写入任何内容；无法在本机验证时，用 --untested 直接写入",
    transport: "事件如何进来：websocket（长连接，无需开放端口）或 webhook（公网地址）",
    transport_shape: "请回答 websocket 或 webhook。",
    verification_token: "Verification Token",
    has_encrypt_key: "应用设置了 Encrypt Key 吗？",
    encrypt_key: "Encrypt Key",

    the_model: |providers| format!("模型。已知的服务商：{providers}"),
    provider: "服务商",
    provider_shape: |providers| format!("已知的有 {providers}；其他的用 compatible。"),
    api_base: "接口地址，包含版本部分",
    api_base_shape: "应以 https:// 开头（本机可用 http://）。",
    model: "模型名称",
    wants_key: "需要密钥吗？",
    key: "密钥",
    model_answers: "模型有应答。",
    model_refused: |why| format!("不可用：{why}"),
    model_refused_alone: "模型拒绝了请求；没有写入任何内容",

    agent: "智能体",
    workspace: "工作目录",
    workspace_shape: "请给出以 / 开头的完整路径。",

    write_unit: "写入 systemd 单元吗？",
    write_site: "写入 nginx 站点吗？",
    server_name: "本机的公网域名或地址",
    server_name_shape: "域名由字母、数字、点和短横线组成。",
    unit_is_for: |its, this| {
        format!("单元使用 {its}，而这里是 {this}：请用 --config {its} 运行 init；没有写入任何内容")
    },
    site_is_for_webhooks: "长连接不需要 nginx：--nginx-site 只用于 --transport webhook",
    site_is_for_the_first: "--nginx-site 写入的是第一个机器人的站点；多个机器人各有路由：\
                            deploy/nginx/xiaoo-several.conf",

    not_empty: "不能为空。",
    too_long: "太长了。",
    unseen: "（不显示）",
    unseen_or_none: "（不显示；输入 - 表示没有）",
    as_it_is: "保持不变",
    from_environment: "取自环境变量",
    yes: "是",
    no: "否",
    yes_or_no: "请回答 是 或 否（yes、no 亦可）。",
    no_answer: "没有得到回答；没有写入任何内容",
    stopped: "已停止；没有写入任何内容",
    asked_in_vain: |times| format!("已询问 {times} 次；没有写入任何内容"),

    written_already: "全部内容均已写入，无需改动。",
    to_be_written: "将要写入：",
    write_this: "写入吗？",
    nothing_written: "没有写入任何内容。",
    new: "新建",
    changed: "修改",
    replaced: "替换",
    private: "仅所有者可读",

    not_toml: |path| format!("{path} 不是 TOML；请修正或移走"),
    no_table: |name| format!("`{name}` 没有写成单独一行的表 [{name}]；请改成那样"),
    no_agents: "`agents.list` 没有写成 [[agents.list]]；请改成那样",
    unreadable: |path| format!("{path} 无法读取"),
    too_large: |path| format!("{path} 太大，不像是我们的文件"),
    unwritable: |path| format!("{path} 无法写入"),
    shells_differ: |variable| {
        format!(
            "${variable} 含有引号、反斜杠之类的字符，systemd 与 shell 读法不同；飞书的密钥里没有\
             这些字符。复制完整了吗？"
        )
    },
    directories_missing: "文件已写入，但有目录没能建立",

    steps: Steps {
        left: "接下来依次：",
        bot: "添加应用能力：在“添加应用能力”中添加“机器人”。",
        permissions: "开通权限：在“权限管理”中开通下列权限（链接已填好）。",
        start: "启动守护进程；下一步保存时飞书会检查它。",
        events_by_connection: "在“事件与回调”中选择“使用长连接接收事件”和“使用长连接接收回调”。\n\
             添加事件 im.message.receive_v1，添加回调 card.action.trigger。",
        events_by_webhook: |url| {
            format!(
                "在“事件与回调”中选择“将事件发送至开发者服务器”和“将回调发送至开发者服务器”，\
                 请求地址都是 {url}\n\
                 添加事件 im.message.receive_v1，添加回调 card.action.trigger。"
            )
        },
        publish: "在“版本管理与发布”中创建版本并发布。草稿收不到任何消息。",
        write: "给机器人发消息。没有反应时：",
        on_phone: "在手机上打开后台：",
    },

    nobody_to_ask: "没有可以询问的终端；每项都可以用参数或环境变量（$NAME）给出：",
    missing: "缺少",
    secret_of_environment: "密钥，取自环境变量",
    option: |name| {
        Some(match name {
            "--config" => {
                "配置文件；xiaoo.env 在它旁边 [默认：$XIAOO_CONFIG，否则 \
                 ~/.config/xiaoo/config.toml；systemd 单元使用 /opt/xiaoo/config/config.toml]"
            }
            "--account" => "文件里有多个机器人时，要修改的那个（channel_instance_id）",
            "--app-id" => "App ID，见应用的“凭证与基础信息”页",
            "$FEISHU_APP_SECRET" => "App Secret",
            "--base-url" => "飞书的地址 [默认：open.feishu.cn 或 open.larksuite.com，逐个尝试]",
            "--ca-file" => "额外的证书颁发机构（PEM），如公司代理的",
            "--transport" => "事件如何进来：websocket 或 webhook [默认：websocket]",
            "--verification-token" => "Verification Token，用于 webhook",
            "$FEISHU_ENCRYPT_KEY" => "Encrypt Key，如果应用设置了",
            "--provider" => "模型服务商：openrouter、deepseek、zhipu、moonshot、openai、ollama……",
            "--api-base" => "模型接口地址，包含版本部分 [默认：服务商的通用地址]",
            "--model" => "模型名称",
            "--api-key-env" => "保存模型密钥的环境变量",
            "--workspace" => "智能体的工作目录",
            "--systemd-unit" => "同时写入 systemd 单元",
            "--nginx-site" => "同时写入 nginx 站点",
            "--server-name" => "本机的公网域名或地址，用于 nginx 站点",
            "--untested" => "不验证各项回答",
            "--yes" => "不询问，直接修改已有文件",
            "--lang" => "语言 [默认：取自区域设置]",
            _ => return None,
        })
    },
};
