//! The questions, in their order. Each group is tried out before the next one is asked.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use xiaoo_agent::Provider;

use super::answers::{Answer, Answers, Variable, usual_key_variable};
use super::document::Document;
use super::probe::{self, Tried};
use super::talk::Talk;
use crate::cli::{InitArgs, InitTransport};
use crate::clients::Clients;
use crate::commands::console;
use crate::config::Cloud;

/// Which of several bots is meant.
pub(super) fn bot(document: &mut Document, talk: &mut Talk<'_, impl Write>) -> anyhow::Result<()> {
    let texts = talk.texts;
    let names = document.bots();
    let listed = names.join(", ");
    let is_one = |answer: &str| match names.iter().any(|name| name == answer) {
        true => Ok(()),
        false => Err((texts.no_such_bot)(answer, &listed)),
    };
    let mut answer = Answer {
        value: names.first().cloned(),
        is_given: false,
    };
    talk.asks(&mut answer, &(texts.which_bot)(&listed), is_one)?;
    document.choose(answer.text());
    Ok(())
}

/// The app: its id, its secret, whose cloud it is in, and how events come in.
pub(super) async fn app(
    answers: &mut Answers,
    talk: &mut Talk<'_, impl Write>,
    mut clients: Clients,
    args: &InitArgs,
) -> anyhow::Result<()> {
    let texts = talk.texts;
    let known = answers.base_url.value.clone();
    let console = console::apps(known.as_deref().unwrap_or_default());
    talk.says(&format!("\n{}", (texts.app)(&console)))?;
    let bases = bases(&answers.base_url);
    let usual_base = bases.first().cloned().unwrap_or_default();
    loop {
        let is_app_id = |answer: &str| match is_app_id(answer) {
            true => Ok(()),
            false => Err(texts.app_id_shape.to_owned()),
        };
        talk.asks(&mut answers.app_id, texts.app_id, is_app_id)?;
        talk.asks_secretly(&mut answers.app_secret.secret, texts.app_secret)?;
        if args.untested {
            answers.base_url.set(&*usual_base);
            break;
        }
        let secret = answers.app_secret.secret.value.clone().unwrap_or_default();
        match probe::app(&mut clients, &bases, answers.app_id.text(), secret).await? {
            Tried::Good((base, bot)) => {
                talk.adds(&match (bot.app_name.as_str(), bot.open_id.as_str()) {
                    ("", "") => (texts.knows_app_without_bot)(&base),
                    (name, _) => (texts.knows_bot)(&base, name),
                })?;
                answers.base_url.set(base);
                break;
            }
            Tried::Wrong(why) => {
                talk.adds(texts.app_refused)?;
                talk.adds(&why)?;
                if !talk.has_person() {
                    bail!(texts.app_refused_alone);
                }
            }
            Tried::Unknown(why) => {
                talk.adds(texts.not_tried)?;
                talk.adds(&why)?;
                if keeps_untested(talk)? {
                    answers.base_url.set(&*usual_base);
                    break;
                }
            }
        }
        ask_again([&mut answers.app_id]);
    }
    let is_transport = |answer: &str| {
        let known = [InitTransport::Websocket, InitTransport::Webhook].map(InitTransport::name);
        match known.contains(&answer) {
            true => Ok(()),
            false => Err(texts.transport_shape.to_owned()),
        }
    };
    talk.asks(&mut answers.transport, texts.transport, is_transport)?;
    if answers.is_webhook() {
        let token = &mut answers.verification_token;
        talk.asks_secretly(token, texts.verification_token)?;
        let key = &mut answers.encrypt_key;
        talk.asks_secretly_if_any(key, texts.has_encrypt_key, texts.encrypt_key)?;
    }
    Ok(())
}

/// Where the app may be, the likeliest place first: it is the first to see the secret. One that
/// is no cloud, or was given, is not guessed about.
fn bases(known: &Answer) -> Vec<String> {
    let clouds = Cloud::ALL.map(Cloud::base_url);
    match known.value.as_deref() {
        Some(base) if known.is_given || !clouds.contains(&base) => vec![base.to_owned()],
        base => {
            let others = clouds.into_iter().filter(|cloud| Some(*cloud) != base);
            base.into_iter().chain(others).map(str::to_owned).collect()
        }
    }
}

/// The model: who has it, where, its name, and the key.
pub(super) async fn model(
    answers: &mut Answers,
    talk: &mut Talk<'_, impl Write>,
    mut clients: Clients,
    args: &InitArgs,
    find_secret: impl Fn(String, bool) -> Variable,
) -> anyhow::Result<()> {
    let texts = talk.texts;
    let names = Provider::ALL.map(Provider::name).join(", ");
    talk.says(&format!("\n{}", (texts.the_model)(&names)))?;
    loop {
        let before = answers.provider.text().to_owned();
        let is_known = |answer: &str| match Provider::from_name(answer) {
            Some(_) => Ok(()),
            None => Err((texts.provider_shape)(&names)),
        };
        talk.asks(&mut answers.provider, texts.provider, is_known)?;
        if answers.provider.text() != before {
            let name = args.api_key_env.clone();
            let is_named = name.is_some();
            let name = name.unwrap_or_else(|| usual_key_variable(answers.provider.text()));
            answers.provider_has_changed(find_secret(name, is_named));
        }
        let provider = answers.known_provider().unwrap_or(Provider::Compatible);
        if answers.api_base.value.is_none() {
            answers.api_base.value = provider.default_api_base().map(str::to_owned);
        }
        let is_url = |answer: &str| match answer {
            _ if answer.starts_with("https://") || answer.starts_with("http://") => Ok(()),
            _ => Err(texts.api_base_shape.to_owned()),
        };
        talk.asks(&mut answers.api_base, texts.api_base, is_url)?;
        let is_name = |answer: &str| match answer {
            "" => Err(texts.not_empty.to_owned()),
            _ => Ok(()),
        };
        talk.asks(&mut answers.model, texts.model, is_name)?;
        // Hosted models want a key; of others only their owner knows.
        if answers.needs_api_key() {
            talk.asks_secretly(&mut answers.api_key.secret, texts.key)?;
        } else {
            let key = &mut answers.api_key;
            talk.asks_secretly_if_any(key, texts.wants_key, texts.key)?;
        }
        if args.untested {
            return Ok(());
        }
        let (base, name) = (answers.api_base.text(), answers.model.text());
        let key = answers.api_key.secret.value.clone();
        match probe::model(&mut clients, provider, base, name, key).await? {
            Tried::Good(()) => {
                talk.adds(texts.model_answers)?;
                return Ok(());
            }
            Tried::Wrong(why) => {
                talk.adds(&(texts.model_refused)(&why))?;
                if !talk.has_person() {
                    bail!(texts.model_refused_alone);
                }
            }
            Tried::Unknown(why) => {
                talk.adds(&format!("{} {why}", texts.not_tried))?;
                if keeps_untested(talk)? {
                    return Ok(());
                }
            }
        }
        ask_again([
            &mut answers.provider,
            &mut answers.api_base,
            &mut answers.model,
        ]);
    }
}

/// Where the agent works.
pub(super) fn workspace(
    answers: &mut Answers,
    talk: &mut Talk<'_, impl Write>,
) -> anyhow::Result<()> {
    let texts = talk.texts;
    if talk.has_person() {
        talk.says(&format!("\n{}", texts.agent))?;
    }
    let is_absolute = |answer: &str| match Path::new(answer).is_absolute() {
        true => Ok(()),
        false => Err(texts.workspace_shape.to_owned()),
    };
    talk.asks(&mut answers.workspace, texts.workspace, is_absolute)
}

/// What was given by a flag turned out wrong.
fn ask_again<const N: usize>(answers: [&mut Answer; N]) {
    for answer in answers {
        answer.is_given = false;
    }
}

/// What could not be tried may be right all the same.
fn keeps_untested(talk: &mut Talk<'_, impl Write>) -> anyhow::Result<bool> {
    let texts = talk.texts;
    match talk.agrees(texts.keep_untested, false)? {
        Some(agrees) => Ok(agrees),
        None => bail!(texts.not_tried_alone),
    }
}

fn is_app_id(answer: &str) -> bool {
    let rest = answer.strip_prefix("cli_").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_that_is_known_sees_the_secret_first_and_one_that_was_given_alone() {
        const FEISHU: &str = "https://open.feishu.cn";
        const LARK: &str = "https://open.larksuite.com";
        for (known, is_given, expected) in [
            (None, false, &[FEISHU, LARK][..]),
            (Some(FEISHU), false, &[FEISHU, LARK]),
            (Some(LARK), false, &[LARK, FEISHU]),
            (Some(LARK), true, &[LARK]),
            (
                Some("https://gateway.example"),
                false,
                &["https://gateway.example"],
            ),
        ] {
            let known = Answer {
                value: known.map(str::to_owned),
                is_given,
            };
            assert_eq!(bases(&known), expected, "{known:?}");
        }
    }
}
