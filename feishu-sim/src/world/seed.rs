//! Who is there at the start: four people, another bot, one group, one
//! one-to-one chat. Ids are fixed, so that scripts can name them.

use crate::config::SimConfig;
use crate::view::{ChatType, PersonKind};

use super::World;

/// The one tenant.
pub(crate) const TENANT_KEY: &str = "2ed263bf32cf1651";

/// First of the people: has the one-to-one chat.
pub(crate) const LI_LEI: &str = "ou_11e10000000000000000000000000001";
const HAN_MEIMEI: &str = "ou_4a9e0000000000000000000000000002";
const ALICE: &str = "ou_a11ce000000000000000000000000003";
const BOB: &str = "ou_b0b00000000000000000000000000004";
const REPORT_BOT: &str = "ou_b0700000000000000000000000000b07";

/// The one-to-one chat of 李雷 and the bot.
pub(crate) const P2P_CHAT: &str = "oc_b2b00000000000000000000000000001";
/// The group.
pub(crate) const GROUP_CHAT: &str = "oc_6209000000000000000000000000c0de";

pub(super) fn plant(world: &mut World, config: &SimConfig) {
    for (open_id, name, en_name) in [
        (LI_LEI, "李雷", "Li Lei"),
        (HAN_MEIMEI, "韩梅梅", "Han Meimei"),
        (ALICE, "Alice Zhang", "Alice Zhang"),
        (BOB, "Bob Miller", "Bob Miller"),
    ] {
        world.add_person(open_id, name, en_name, PersonKind::User);
    }
    world.add_person(REPORT_BOT, "日报助手", "Report Bot", PersonKind::Bot);
    let bot = world.bot.clone();
    world.add_person(&bot, &config.bot_name, &config.bot_en_name, PersonKind::Bot);

    let everybody = [LI_LEI, HAN_MEIMEI, ALICE, BOB, REPORT_BOT].map(str::to_owned);
    for (chat_id, chat_type, name, members) in [
        (P2P_CHAT, ChatType::P2p, "李雷", &everybody[..1]),
        (
            GROUP_CHAT,
            ChatType::Group,
            "产品研发群 R&D",
            &everybody[..],
        ),
    ] {
        // Bounds and members are those of a new world: it cannot be full.
        let added = world.add_chat(Some(chat_id), chat_type, name, members);
        debug_assert!(added.is_ok(), "the first chats fit");
    }
}
