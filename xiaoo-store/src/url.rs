//! Where the store is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.

use core::fmt;
use core::str::FromStr;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// A checked `[store] url`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreUrl {
    /// A file of this machine, `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A database that several daemons may share.
    Postgres(PostgresUrl),
}

/// A checked `postgres://` URL. Neither `Debug` nor `Display` shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Box<Config>);

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
    /// A PostgreSQL URL that can't be read; what is wrong is not shown, as it may be
    /// the password.
    #[error(
        "the URL can't be read: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with % codes for special characters"
    )]
    PostgresUnreadable,
    /// A PostgreSQL URL without the name of a database, or of a host.
    #[error(
        "the host or the database is missing: write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    PostgresIncomplete,
    /// TLS was asked for.
    #[error(
        "this build speaks no TLS to PostgreSQL: use a socket, a private network or a tunnel, and sslmode=disable"
    )]
    PostgresTls,
    /// No scheme, or one that nobody knows.
    #[error("unknown kind of store: write sqlite:PATH, or postgres://USER@HOST:PORT/DATABASE")]
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
            "postgres" | "postgresql" => postgres(url).map(Self::Postgres),
            _ => Err(StoreUrlError::SchemeUnknown),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

fn postgres(url: &str) -> Result<PostgresUrl, StoreUrlError> {
    let config: Config = url.parse().map_err(|_| StoreUrlError::PostgresUnreadable)?;
    if config.get_hosts().is_empty() || config.get_dbname().is_none_or(str::is_empty) {
        return Err(StoreUrlError::PostgresIncomplete);
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(StoreUrlError::PostgresTls);
    }
    Ok(PostgresUrl(Box::new(config)))
}

impl PostgresUrl {
    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.0.get_password().is_some()
    }

    /// The same with this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.0.password(password);
        self
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (n, host) in self.0.get_hosts().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            if let Some(port) = self
                .0
                .get_ports()
                .get(n)
                .or_else(|| self.0.get_ports().first())
            {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.0.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
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
            ("postgres://h", Err(StoreUrlError::PostgresIncomplete)),
            ("postgres://h/", Err(StoreUrlError::PostgresIncomplete)),
            ("postgres:///db", Err(StoreUrlError::PostgresIncomplete)),
            (
                "postgres://h:port/db",
                Err(StoreUrlError::PostgresUnreadable),
            ),
            (
                "postgres://h/db?sslmode=require",
                Err(StoreUrlError::PostgresTls),
            ),
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

    #[test]
    fn a_server_is_named_without_its_password() {
        for (url, shown) in [
            ("postgres://u:planted@h/db", "postgres://h:5432/db"),
            (
                "postgresql://u:planted@h:6000/db?sslmode=prefer",
                "postgres://h:6000/db",
            ),
            (
                "postgres://u:planted@%2Frun%2Fpg/db",
                "postgres:///run/pg:5432/db",
            ),
        ] {
            let parsed: StoreUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert!(!format!("{parsed:?}").contains("planted"), "{parsed:?}");
        }
    }

    #[test]
    fn a_password_can_come_from_elsewhere() {
        let Ok(StoreUrl::Postgres(bare)) = "postgres://u@h/db".parse() else {
            panic!("a server's url");
        };
        assert!(!bare.has_password());
        let whole = bare.with_password("planted");
        assert!(whole.has_password());
        assert_eq!(
            Ok(StoreUrl::Postgres(whole)),
            "postgres://u:planted@h/db".parse()
        );
    }
}
