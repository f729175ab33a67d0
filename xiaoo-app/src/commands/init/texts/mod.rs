//! What `init` says, in each language: one table, which has a place for every text.

mod chinese;
mod english;

use crate::render::language::Language;

/// A text with something in it.
pub(super) type With = fn(&str) -> String;
/// A text with two things in it.
pub(super) type WithTwo = fn(&str, &str) -> String;

/// All that is said in one language.
pub(super) struct Texts {
    pub(super) template: &'static str,
    pub(super) env_header: &'static str,

    /// With the file's path.
    pub(super) makes: With,
    /// With the file's path.
    pub(super) changes: With,
    /// With their names.
    pub(super) which_bot: With,
    /// With the name, and the names that there are.
    pub(super) no_such_bot: WithTwo,

    /// With the console's address.
    pub(super) app: With,
    pub(super) app_id: &'static str,
    pub(super) app_id_shape: &'static str,
    pub(super) app_secret: &'static str,
    /// With the platform's address.
    pub(super) knows_app_without_bot: With,
    /// With the platform's address, and the bot's name.
    pub(super) knows_bot: WithTwo,
    pub(super) app_refused: &'static str,
    pub(super) app_refused_alone: &'static str,
    pub(super) not_tried: &'static str,
    pub(super) keep_untested: &'static str,
    pub(super) not_tried_alone: &'static str,
    pub(super) transport: &'static str,
    pub(super) transport_shape: &'static str,
    pub(super) verification_token: &'static str,
    pub(super) has_encrypt_key: &'static str,
    pub(super) encrypt_key: &'static str,

    /// With the names of providers.
    pub(super) the_model: With,
    pub(super) provider: &'static str,
    /// With the names of providers.
    pub(super) provider_shape: With,
    pub(super) api_base: &'static str,
    pub(super) api_base_shape: &'static str,
    pub(super) model: &'static str,
    pub(super) wants_key: &'static str,
    pub(super) key: &'static str,
    pub(super) model_answers: &'static str,
    /// With the reason.
    pub(super) model_refused: With,
    pub(super) model_refused_alone: &'static str,

    pub(super) agent: &'static str,
    pub(super) workspace: &'static str,
    pub(super) workspace_shape: &'static str,

    pub(super) write_unit: &'static str,
    pub(super) write_site: &'static str,
    pub(super) server_name: &'static str,
    pub(super) server_name_shape: &'static str,
    /// With the unit's configuration, and this one.
    pub(super) unit_is_for: WithTwo,
    pub(super) site_is_for_webhooks: &'static str,
    pub(super) site_is_for_the_first: &'static str,

    pub(super) not_empty: &'static str,
    pub(super) too_long: &'static str,
    pub(super) unseen: &'static str,
    pub(super) unseen_or_none: &'static str,
    pub(super) as_it_is: &'static str,
    pub(super) from_environment: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) yes_or_no: &'static str,
    pub(super) no_answer: &'static str,
    pub(super) stopped: &'static str,
    /// With how often.
    pub(super) asked_in_vain: With,

    pub(super) written_already: &'static str,
    pub(super) to_be_written: &'static str,
    pub(super) write_this: &'static str,
    pub(super) nothing_written: &'static str,
    pub(super) new: &'static str,
    pub(super) changed: &'static str,
    pub(super) replaced: &'static str,
    pub(super) private: &'static str,

    /// With the file's path.
    pub(super) not_toml: With,
    /// With the table's name.
    pub(super) no_table: With,
    pub(super) no_agents: &'static str,
    /// With the file's path.
    pub(super) unreadable: With,
    /// With the file's path.
    pub(super) too_large: With,
    /// With the file's path.
    pub(super) unwritable: With,
    /// With the variable's name.
    pub(super) shells_differ: With,
    pub(super) directories_missing: &'static str,

    pub(super) steps: Steps,

    pub(super) nobody_to_ask: &'static str,
    pub(super) missing: &'static str,
    pub(super) secret_of_environment: &'static str,
    /// What an option is for, by its name; where it isn't told, the help text tells.
    pub(super) option: fn(&str) -> Option<&'static str>,
}

/// What remains to be done.
pub(super) struct Steps {
    pub(super) left: &'static str,
    pub(super) bot: &'static str,
    pub(super) permissions: &'static str,
    pub(super) start: &'static str,
    pub(super) events_by_connection: &'static str,
    /// With the public address.
    pub(super) events_by_webhook: With,
    pub(super) publish: &'static str,
    pub(super) write: &'static str,
    pub(super) on_phone: &'static str,
}

/// Of this language.
pub(super) const fn of(language: Language) -> &'static Texts {
    match language {
        Language::Chinese => &chinese::TEXTS,
        Language::English => &english::TEXTS,
    }
}

#[cfg(test)]
mod tests {
    use toml_edit::DocumentMut;

    use super::*;

    #[test]
    fn a_new_file_is_the_same_in_both_languages_but_for_its_comments() {
        let [english, chinese] = [Language::English, Language::Chinese].map(|language| {
            let document: DocumentMut = of(language).template.parse().unwrap();
            toml::from_str::<toml::Table>(&document.to_string()).unwrap()
        });
        assert_eq!(english, chinese);
    }
}
