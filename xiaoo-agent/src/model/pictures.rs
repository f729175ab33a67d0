//! The pictures that go along with a question.

use std::collections::BTreeMap;

/// What of each picture the model gets, by the path that messages call it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pictures {
    by_path: BTreeMap<String, Picture>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Picture {
    Shown(String),
    Hidden(&'static str),
}

/// One picture, to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen<'a> {
    /// A `data:` URL.
    Shown(&'a str),
    /// Why it is not shown.
    Hidden(&'static str),
}

impl Pictures {
    /// Sends this picture along, as a `data:` URL.
    pub fn show(&mut self, path: impl Into<String>, data_url: String) {
        self.by_path.insert(path.into(), Picture::Shown(data_url));
    }

    /// Names it only, and says why.
    pub fn hide(&mut self, path: impl Into<String>, why: &'static str) {
        self.by_path.insert(path.into(), Picture::Hidden(why));
    }

    pub(super) fn get(&self, path: &str) -> Seen<'_> {
        match self.by_path.get(path) {
            Some(Picture::Shown(url)) => Seen::Shown(url),
            Some(Picture::Hidden(why)) => Seen::Hidden(why),
            None => Seen::Hidden("not shown"),
        }
    }
}
