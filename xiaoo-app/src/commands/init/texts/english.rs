//! English.

use super::{Steps, Texts};

pub(super) static TEXTS: Texts = Texts {
    template: include_str!("../template.toml"),
    env_header: "# Secrets of the daemon, by the names that config.toml gives them.\n",

    makes: |path| {
        format!(
            "New: {path}. Enter keeps what is in [brackets]; Ctrl-C stops, and nothing is written."
        )
    },
    changes: |path| {
        format!(
            "Changing {path}. Enter keeps what is in [brackets]; Ctrl-C stops, and nothing is \
             written."
        )
    },
    which_bot: |names| format!("Which bot is meant: {names}"),
    no_such_bot: |name, names| format!("there is no bot {name:?} in the file; there are: {names}"),

    app: |console| format!("The app at Feishu or Lark ({console})"),
    app_id: "App ID",
    app_id_shape: "An App ID is cli_ and letters and digits; it is on the app's credentials page.",
    app_secret: "App Secret",
    knows_app_without_bot: |base| {
        format!("{base} knows the app; it has no bot yet: the steps below say how")
    },
    knows_bot: |base, name| format!("{base} knows it: the bot {name:?}"),
    app_refused: "Feishu refuses these:",
    app_refused_alone: "the App ID and the App Secret were refused; nothing was written",
    not_tried: "That could not be tried:",
    keep_untested: "Keep it untested?",
    not_tried_alone: "nothing was written; --untested writes answers that cannot be tried here",
    transport: "How events come in: websocket (a long connection, nothing to open) or webhook (a \
                public URL)",
    transport_shape: "Please answer websocket or webhook.",
    verification_token: "Verification Token",
    has_encrypt_key: "Does the app have an Encrypt Key?",
    encrypt_key: "Encrypt Key",

    the_model: |providers| format!("The model. Known providers: {providers}"),
    provider: "Provider",
    provider_shape: |providers| format!("Known are {providers}; compatible is for any other."),
    api_base: "Its address, with the version part",
    api_base_shape: "It begins with https:// (or http:// on this machine).",
    model: "The model's name there",
    wants_key: "Does it want a key?",
    key: "Its key",
    model_answers: "It answers.",
    model_refused: |why| format!("That does not work: {why}"),
    model_refused_alone: "the model was refused; nothing was written",

    agent: "The agent",
    workspace: "The directory it works in",
    workspace_shape: "Please give the whole path; it begins with /.",

    write_unit: "Write the systemd unit?",
    write_site: "Write the nginx site?",
    server_name: "The public name or address of this machine",
    server_name_shape: "A name is letters, digits, dots and dashes.",
    unit_is_for: |its, this| {
        format!(
            "the unit is for {its}, and this is {this}: run init with --config {its}; nothing was \
             written"
        )
    },
    site_is_for_webhooks: "the long connection needs no nginx: --nginx-site is for --transport \
                           webhook",
    site_is_for_the_first: "--nginx-site writes the site of the first bot; a route for each of \
                            several: deploy/nginx/xiaoo-several.conf",

    not_empty: "It cannot be empty.",
    too_long: "That is too long.",
    unseen: "(not shown)",
    unseen_or_none: "(not shown; - for none)",
    as_it_is: "as it is",
    from_environment: "from the environment",
    yes: "yes",
    no: "no",
    yes_or_no: "Please answer yes or no.",
    no_answer: "no answer came; nothing was written",
    stopped: "stopped; nothing was written",
    asked_in_vain: |times| format!("asked {times} times; nothing was written"),

    written_already: "All of it is written already.",
    to_be_written: "To be written:",
    write_this: "Write this?",
    nothing_written: "Nothing was written.",
    new: "new",
    changed: "changed",
    replaced: "replaced",
    private: "readable by its owner alone",

    not_toml: |path| format!("{path} is not TOML; mend it or move it away"),
    no_table: |name| format!("`{name}` is no table with a line of its own, [{name}]; make it one"),
    no_agents: "`agents.list` is no list of [[agents.list]]; make it one",
    unreadable: |path| format!("{path} cannot be read"),
    too_large: |path| format!("{path} is too large to be one of ours"),
    unwritable: |path| format!("{path} cannot be written"),
    shells_differ: |variable| {
        format!(
            "${variable} holds a quote, a backslash or the like, which systemd and shells read \
             differently: no secret of Feishu's has one. Was it copied whole?"
        )
    },
    directories_missing: "the files are written, but not all directories are there",

    steps: Steps {
        left: "What is left, in this order:",
        bot: "Bot: add the ability.",
        permissions: "Permissions: grant these (the link has them filled in).",
        start: "Start the daemon, since Feishu looks for it in the next step.",
        events_by_connection: "Events & Callbacks: receive both through the persistent connection.\n\
             Event: im.message.receive_v1. Callback: card.action.trigger.",
        events_by_webhook: |url| {
            format!(
                "Events & Callbacks: receive both by webhook, at {url}.\n\
                 Event: im.message.receive_v1. Callback: card.action.trigger."
            )
        },
        publish: "Publish a version. Drafts receive nothing.",
        write: "Write to the bot. If it is silent:",
        on_phone: "The console on your phone:",
    },

    nobody_to_ask: "there is no terminal to ask at; each answer can be a flag, or a variable \
                    ($NAME):",
    missing: "missing",
    secret_of_environment: "a secret, from the environment",
    option: |name| match name {
        "$FEISHU_APP_SECRET" => Some("The App Secret"),
        "$FEISHU_ENCRYPT_KEY" => Some("The Encrypt Key, if the app has one"),
        // The help texts are English.
        _ => None,
    },
};
