//! Where the store is: `sqlite:PATH`.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};

/// A checked `[store] url`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// A file of this machine, `sqlite:PATH`.
    Sqlite(PathBuf),
}

/// Why a `[store] url` can't be used. None shows the URL, which may hold a
/// password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreUrlError {
    /// `sqlite:` without a path.
    #[error("the path is missing: write sqlite:PATH")]
    PathMissing,
    /// An in-memory database would lose acknowledged events.
    #[error("a database in memory is not durable: write sqlite:PATH")]
    NotDurable,
    /// A PostgreSQL URL, which this build has no engine for.
    #[error("this build has no PostgreSQL engine: write sqlite:PATH")]
    PostgresUnsupported,
    /// No scheme, or one that nobody knows.
    #[error("unknown kind of store: write sqlite:PATH")]
    SchemeUnknown,
}

impl StoreUrl {
    /// The store in this file.
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        Self::Sqlite(path.as_ref().to_path_buf())
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(url: &str) -> Result<Self, StoreUrlError> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(StoreUrlError::SchemeUnknown);
        };
        match scheme {
            // `sqlite:PATH` is ours; `sqlite://PATH` is what other programs write.
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(StoreUrlError::PathMissing),
                path if path.starts_with(":memory:") => Err(StoreUrlError::NotDurable),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            "postgres" | "postgresql" => Err(StoreUrlError::PostgresUnsupported),
            _ => Err(StoreUrlError::SchemeUnknown),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused_with_a_reason() {
        let sqlite = |path: &str| Ok(StoreUrl::sqlite(path));
        let cases = [
            ("sqlite:xiaoo.db", sqlite("xiaoo.db")),
            (
                "sqlite:/var/lib/xiaoo/store.db",
                sqlite("/var/lib/xiaoo/store.db"),
            ),
            ("sqlite:///var/lib/store.db", sqlite("/var/lib/store.db")),
            ("sqlite://data/store.db", sqlite("data/store.db")),
            ("sqlite:", Err(StoreUrlError::PathMissing)),
            ("sqlite://", Err(StoreUrlError::PathMissing)),
            ("sqlite::memory:", Err(StoreUrlError::NotDurable)),
            (
                "postgres://u:p@h/db",
                Err(StoreUrlError::PostgresUnsupported),
            ),
            ("postgresql://h/db", Err(StoreUrlError::PostgresUnsupported)),
            ("mysql://h/db", Err(StoreUrlError::SchemeUnknown)),
            ("/var/lib/store.db", Err(StoreUrlError::SchemeUnknown)),
            ("", Err(StoreUrlError::SchemeUnknown)),
        ];
        for (url, expected) in cases {
            assert_eq!(url.parse::<StoreUrl>(), expected, "{url}");
        }
    }

    #[test]
    fn a_url_survives_display() {
        let url = StoreUrl::sqlite("/a/b.db");
        assert_eq!(url.to_string().parse(), Ok(url));
    }
}
