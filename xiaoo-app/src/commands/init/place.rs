//! The questions, in their order. Each group is tried out before the next one is asked.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use xiaoo_agent::Provider;

use super::answers::{Answer, Answers, Secret, usual_key_variable};
use super::probe::{self, CLOUDS, Tried};
use super::steps::console;
use super::terminal::Person;
use crate::cli::{InitArgs, InitTransport};
use crate::clients::Clients;

/// The app: its id, its secret, whose cloud it is in, and how events come in.
pub(super) async fn app(
    answers: &mut Answers,
    mut person: Option<&mut Person>,
    mut clients: Clients,
    args: &InitArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nThe app at Feishu or Lark ({})",
        console(CLOUDS[0], "app")
    )?;
    loop {
        text(
            &mut answers.app_id,
            "App ID",
            is_app_id,
            person.as_deref_mut(),
            out,
        )?;
        if let Some(person) = person.as_deref_mut() {
            let usual = answers.app_secret.usual();
            let secret = person.asked_secretly("App Secret", usual, out)?;
            answers.app_secret.set(secret);
        }
        if args.untested {
            if answers.base_url.value.is_none() {
                answers.base_url.set(CLOUDS[0]);
            }
            break;
        }
        let known = answers.base_url.value.clone();
        // One that was written or named is not guessed about.
        let bases: Vec<&str> = match known.as_deref() {
            Some(base) if !CLOUDS.contains(&base) || answers.base_url.is_given => vec![base],
            Some(_) | None => CLOUDS.to_vec(),
        };
        let secret = answers.app_secret.secret().unwrap_or_default();
        match probe::app(&mut clients, &bases, answers.app_id.text(), secret).await? {
            Tried::Good((base, bot)) => {
                match (bot.app_name.as_str(), bot.open_id.as_str()) {
                    ("", "") => writeln!(
                        out,
                        "  {base} knows the app; it has no bot yet: the steps below say how"
                    )?,
                    (name, _) => writeln!(out, "  {base} knows it: the bot {name:?}")?,
                }
                answers.base_url.set(base);
                break;
            }
            Tried::Wrong(why) => {
                writeln!(out, "  Feishu refuses these:\n  {why}")?;
                if person.is_none() {
                    bail!("the App ID and the App Secret were refused; nothing was written");
                }
                ask_again([&mut answers.app_id]);
            }
            Tried::Unknown(why) => {
                writeln!(out, "  That could not be tried:\n  {why}")?;
                if keeps_untested(person.as_deref_mut(), out)? {
                    if answers.base_url.value.is_none() {
                        answers.base_url.set(CLOUDS[0]);
                    }
                    break;
                }
                ask_again([&mut answers.app_id]);
            }
        }
    }
    text(
        &mut answers.transport,
        "How events come in: websocket (a long connection, nothing to open) or webhook (a public URL)",
        |answer| match answer {
            _ if [InitTransport::Websocket, InitTransport::Webhook]
                .map(InitTransport::name)
                .contains(&answer) =>
            {
                Ok(())
            }
            _ => Err("Please answer websocket or webhook.".to_owned()),
        },
        person.as_deref_mut(),
        out,
    )?;
    if answers.is_webhook() {
        webhook(answers, person, out)?;
    }
    Ok(())
}

/// What proves that an event is Feishu's.
fn webhook(
    answers: &mut Answers,
    person: Option<&mut Person>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(person) = person else {
        return Ok(());
    };
    let answer = &mut answers.verification_token;
    text(
        answer,
        "Verification Token",
        not_empty,
        Some(&mut *person),
        out,
    )?;
    if answers.encrypt_key.value.is_none()
        && person.agrees("Does the app have an Encrypt Key?", false, out)?
    {
        let key = person.asked_secretly("Encrypt Key", None, out)?;
        answers.encrypt_key.set(key);
    }
    Ok(())
}

/// The model: who has it, where, its name, and the key.
pub(super) async fn model(
    answers: &mut Answers,
    mut person: Option<&mut Person>,
    mut clients: Clients,
    args: &InitArgs,
    find_secret: impl Fn(String) -> Secret,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let names = Provider::ALL.map(Provider::name).join(", ");
    writeln!(out, "\nThe model. Known providers: {names}")?;
    loop {
        let before = answers.provider.text().to_owned();
        let is_known = |answer: &str| match Provider::from_name(answer) {
            Some(_) => Ok(()),
            None => Err(format!("Known are {names}; compatible is for any other.")),
        };
        text(
            &mut answers.provider,
            "Provider",
            is_known,
            person.as_deref_mut(),
            out,
        )?;
        if answers.provider.text() != before {
            let variable = args.api_key_env.clone();
            let variable = variable.unwrap_or_else(|| usual_key_variable(answers.provider.text()));
            answers.provider_has_changed(find_secret(variable));
        }
        let provider = answers.known_provider().unwrap_or(Provider::Compatible);
        if answers.api_base.value.is_none() {
            answers.api_base.value = provider.default_api_base().map(str::to_owned);
        }
        let is_url = |answer: &str| match answer {
            _ if answer.starts_with("https://") || answer.starts_with("http://") => Ok(()),
            _ => Err("It begins with https:// (or http:// on this machine).".to_owned()),
        };
        text(
            &mut answers.api_base,
            "Its address, with the version part",
            is_url,
            person.as_deref_mut(),
            out,
        )?;
        text(
            &mut answers.model,
            "The model's name there",
            not_empty,
            person.as_deref_mut(),
            out,
        )?;
        key(answers, person.as_deref_mut(), out)?;
        if args.untested {
            return Ok(());
        }
        let (base, name) = (answers.api_base.text(), answers.model.text());
        let key = answers.api_key.secret();
        match probe::model(&mut clients, provider, base, name, key).await? {
            Tried::Good(()) => {
                writeln!(out, "  It answers.")?;
                return Ok(());
            }
            Tried::Wrong(why) => {
                writeln!(out, "  That does not work: {why}")?;
                if person.is_none() {
                    bail!("the model was refused; nothing was written");
                }
            }
            Tried::Unknown(why) => {
                writeln!(out, "  That could not be tried: {why}")?;
                if keeps_untested(person.as_deref_mut(), out)? {
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

/// Hosted models want one; of others only their owner knows.
fn key(
    answers: &mut Answers,
    person: Option<&mut Person>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(person) = person else {
        return Ok(());
    };
    let usual = answers.api_key.usual();
    if answers.needs_api_key() || usual.is_some() {
        let key = person.asked_secretly("Its key", usual, out)?;
        answers.api_key.set(key);
    } else if person.agrees("Does it want a key?", false, out)? {
        let key = person.asked_secretly("Its key", None, out)?;
        answers.api_key.set(key);
    }
    Ok(())
}

/// Where the agent works.
pub(super) fn workspace(
    answers: &mut Answers,
    person: Option<&mut Person>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if person.is_some() {
        writeln!(out, "\nThe agent")?;
    }
    let is_absolute = |answer: &str| {
        if Path::new(answer).is_absolute() {
            Ok(())
        } else {
            Err("Please give the whole path; it begins with /.".to_owned())
        }
    };
    let question = "The directory it works in";
    text(&mut answers.workspace, question, is_absolute, person, out)
}

/// Asks for one answer, unless it was given; without a person it must be right as it is.
fn text(
    answer: &mut Answer,
    question: &str,
    check: impl Fn(&str) -> Result<(), String>,
    person: Option<&mut Person>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if let Some(person) = person
        && !answer.is_given
    {
        let usual = answer.value.as_deref().filter(|usual| !usual.is_empty());
        let said = person.asked(question, usual, check, out)?;
        answer.set(said);
    } else if let Err(why) = check(answer.text()) {
        bail!("{question}: {:?}: {why}", answer.text());
    }
    Ok(())
}

/// What was given by a flag turned out wrong.
fn ask_again<const N: usize>(answers: [&mut Answer; N]) {
    for answer in answers {
        answer.is_given = false;
    }
}

/// What could not be tried may be right all the same.
fn keeps_untested(person: Option<&mut Person>, out: &mut impl Write) -> anyhow::Result<bool> {
    match person {
        Some(person) => person.agrees("Keep it untested?", false, out),
        None => bail!("nothing was written; --untested writes answers that cannot be tried here"),
    }
}

fn is_app_id(answer: &str) -> Result<(), String> {
    match answer.strip_prefix("cli_") {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(())
        }
        Some(_) | None => Err(
            "An App ID is cli_ and letters and digits; it is on the app's credentials page."
                .to_owned(),
        ),
    }
}

fn not_empty(answer: &str) -> Result<(), String> {
    if answer.is_empty() {
        Err("It cannot be empty.".to_owned())
    } else {
        Ok(())
    }
}
