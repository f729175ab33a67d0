//! Feishu's reaction names and Unicode look-alikes.

/// Names from the official list that bots use, with a character that looks alike.
const EMOJI: &[(&str, &str)] = &[
    ("OK", "👌"),
    ("THUMBSUP", "👍"),
    ("ThumbsDown", "👎"),
    ("Get", "🫡"),
    ("OnIt", "💪"),
    ("OneSecond", "⏳"),
    ("Typing", "⌨️"),
    ("DONE", "✅"),
    ("CheckMark", "✔️"),
    ("CrossMark", "❌"),
    ("ERROR", "⛔"),
    ("THINKING", "🤔"),
    ("EatingFood", "🍚"),
    ("Alarm", "⏰"),
    ("SMILE", "😊"),
    ("APPLAUSE", "👏"),
    ("THANKS", "🙏"),
    ("HEART", "❤️"),
    ("Fire", "🔥"),
    ("LGTM", "🆗"),
    ("Hundred", "💯"),
    ("Yes", "🙆"),
    ("No", "🙅"),
    ("SALUTE", "🫡"),
    ("Coffee", "☕"),
    ("MUSCLE", "💪"),
    ("JIAYI", "➕"),
    ("FINGERHEART", "🫰"),
    ("FISTBUMP", "🤜"),
    ("LAUGH", "😄"),
    ("LOL", "😂"),
    ("WOW", "😮"),
    ("CRY", "😢"),
    ("SOB", "😭"),
    ("PARTY", "🥳"),
    ("Pin", "📌"),
    ("ROSE", "🌹"),
    ("JIAYOU", "⛽"),
    ("GLANCE", "👀"),
    ("SWEAT", "😅"),
];

/// Whether the platform takes this name. Case counts.
pub(crate) fn is_emoji_type(name: &str) -> bool {
    EMOJI.iter().any(|(known, _)| *known == name)
}

/// A look-alike, or the name in colons.
pub(crate) fn emoji(name: &str) -> String {
    EMOJI
        .iter()
        .find(|(known, _)| *known == name)
        .map_or_else(|| format!(":{name}:"), |(_, emoji)| (*emoji).to_owned())
}
