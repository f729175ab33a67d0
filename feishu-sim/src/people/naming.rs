//! Names in what people write, and the placeholders that stand for them.

use crate::SimError;
use crate::view::Mention;
use crate::world::World;

/// Turns `@Name`s of a text into placeholders.
pub(super) struct Naming<'w> {
    pub(super) world: &'w World,
    pub(super) members: &'w [String],
    pub(super) mention_bot: Option<bool>,
    pub(super) is_group: bool,
}

impl Naming<'_> {
    pub(super) fn resolve(
        &self,
        text: &str,
        extra: &[String],
    ) -> Result<(String, Vec<Mention>), SimError> {
        let mut mentions = Vec::new();
        let body = self.named(text, &mut mentions)?;
        let mentions_bot_itself = mentions
            .iter()
            .any(|mention: &Mention| mention.open_id == self.world.bot);
        let wants_bot = self
            .mention_bot
            .unwrap_or_else(|| self.is_group && mentions.is_empty() && !text.contains("@_all"));
        let bot = (wants_bot && !mentions_bot_itself).then(|| self.world.bot.clone());
        let mut front = String::new();
        for open_id in bot.iter().chain(extra) {
            let key = add_mention(self.world, open_id, &mut mentions)?;
            front.push_str(&key);
            front.push(' ');
        }
        Ok((front + &body, mentions))
    }

    /// The longest name that fits wins, so that `@Li Lei` is not `@Li`.
    fn named(&self, text: &str, mentions: &mut Vec<Mention>) -> Result<String, SimError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('@') {
            out.push_str(before);
            let hit = self
                .members
                .iter()
                .filter_map(|id| self.world.people.get(id))
                .flat_map(|person| [(&person.name, person), (&person.en_name, person)])
                .filter(|(name, _)| !name.is_empty() && after.starts_with(name.as_str()))
                .max_by_key(|(name, _)| name.len());
            match hit {
                Some((name, person)) => {
                    out.push_str(&add_mention(self.world, &person.open_id, mentions)?);
                    rest = after.get(name.len()..).unwrap_or_default();
                }
                None => {
                    out.push('@');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Gives the placeholder of a person, old or new.
pub(super) fn add_mention(
    world: &World,
    open_id: &str,
    mentions: &mut Vec<Mention>,
) -> Result<String, SimError> {
    if let Some(known) = mentions.iter().find(|known| known.open_id == open_id) {
        return Ok(known.key.clone());
    }
    let person = world.person(open_id)?;
    let key = format!("@_user_{}", mentions.len() + 1);
    mentions.push(Mention {
        key: key.clone(),
        open_id: open_id.to_owned(),
        name: person.name.clone(),
    });
    Ok(key)
}
