//! What stands in the text of a message for what is not text: pictures and files.

/// How they begin and end, as the core writes them.
const PLACEHOLDERS: [(&str, &str); 7] = [
    ("![image](", ")"),
    ("[media:", "]"),
    ("<audio key=\"", "\"/>"),
    ("<file key=\"", "\"/>"),
    ("<folder key=\"", "\"/>"),
    ("<sticker key=\"", "\"/>"),
    ("<video key=\"", "\"/>"),
];

/// A text without them: what somebody has said beside.
#[must_use]
pub fn without_placeholders(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['!', '[', '<']) {
        let (before, from) = rest.split_at(at);
        words.push_str(before);
        rest = match behind_placeholder(from) {
            Some(behind) => behind,
            None => {
                let mut characters = from.chars();
                words.extend(characters.next());
                characters.as_str()
            }
        };
    }
    words.push_str(rest);
    words
}

fn behind_placeholder(text: &str) -> Option<&str> {
    PLACEHOLDERS.iter().find_map(|(begin, end)| {
        let (_, behind) = text.strip_prefix(begin)?.split_once(end)?;
        Some(behind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_beside_pictures_and_files_is_left() {
        for (text, words) in [
            ("![image](img_1)", ""),
            ("![image](img_1)what is wrong here?", "what is wrong here?"),
            ("look: ![image](a) and ![image](b)!", "look:  and !"),
            ("<file key=\"k\" name=\"a &gt; b.pdf\"/>", ""),
            ("<video key=\"k\" duration=\"3s\"/>\n[media:k]", "\n"),
            (
                "<video tag: how do I embed it?",
                "<video tag: how do I embed it?",
            ),
            ("a < b, x[0], ![image](cut", "a < b, x[0], ![image](cut"),
            ("", ""),
        ] {
            assert_eq!(without_placeholders(text), words, "{text}");
        }
    }
}
