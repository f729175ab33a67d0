//! Where the store is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`, the
//! latter with `?schema=NAME` when it is not the usual schema.

use core::fmt;
use core::str::FromStr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The schema of the tables when the URL names none.
const SCHEMA: &str = "xiaoo";

/// The one parameter of a PostgreSQL URL that is ours.
const SCHEMA_PARAMETER: &str = "schema=";

/// Longest name of a schema: PostgreSQL cuts off what is beyond, so that two long names
/// would be one.
const SCHEMA_BYTES_MAX: usize = 63;

/// Most that is kept of an instance's name, so that what is made of it and of a usual
/// name stays within that and within what file systems take.
const INSTANCE_BYTES_MAX: usize = 24;

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
pub struct PostgresUrl {
    config: Box<Config>,
    /// Lower-case letters, digits and underscores, so that it needs no escaping.
    schema: Box<str>,
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
    /// A schema's name that would need escaping, or that the server keeps for itself.
    #[error(
        "the schema can't be used: lower-case letters, digits and underscores make a name, 63 at most, and neither a digit nor pg_ begins it"
    )]
    PostgresSchema,
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

    /// The store of a further bot beside this one: `xiaoo.db` and `xiaoo-NAME.db`, or
    /// the schemas `xiaoo` and `xiaoo_NAME` of one database.
    ///
    /// Two names never mean one store: of a name that doesn't fit, what fits is kept,
    /// with a number made of the whole.
    #[must_use]
    pub fn for_instance(&self, name: &str) -> Self {
        match self {
            Self::Sqlite(path) => {
                let mut file = path.file_stem().map_or_else(OsString::new, OsString::from);
                file.push("-");
                file.push(fitting(name, '-', INSTANCE_BYTES_MAX));
                if let Some(extension) = path.extension() {
                    file.push(".");
                    file.push(extension);
                }
                Self::Sqlite(path.with_file_name(file))
            }
            Self::Postgres(url) => {
                let name = fitting(name, '_', INSTANCE_BYTES_MAX);
                let schema = fitting(&format!("{}_{name}", url.schema), '_', SCHEMA_BYTES_MAX);
                Self::Postgres(PostgresUrl {
                    config: url.config.clone(),
                    schema: schema.into(),
                })
            }
        }
    }
}

/// The name itself if it has only lower-case letters, digits and `joint`, and not too
/// many; otherwise what can be kept of it, and a number made of the whole.
fn fitting(name: &str, joint: char, bytes_max: usize) -> String {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == joint;
    if !name.is_empty() && name.len() <= bytes_max && name.chars().all(fits) {
        return name.to_owned();
    }
    let number = format!("{joint}{:016x}", fnv(name.as_bytes()));
    let kept = name
        .chars()
        .map(|letter| letter.to_ascii_lowercase())
        .map(|letter| if fits(letter) { letter } else { joint })
        .take(bytes_max.saturating_sub(number.len()));
    kept.chain(number.chars()).collect()
}

/// FNV-1a: a store must be found again by every later version, so the number is of a
/// kind that never changes.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
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
    let (url, schema) = split_schema(url)?;
    let config: Config = url.parse().map_err(|_| StoreUrlError::PostgresUnreadable)?;
    if config.get_hosts().is_empty() || config.get_dbname().is_none_or(str::is_empty) {
        return Err(StoreUrlError::PostgresIncomplete);
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(StoreUrlError::PostgresTls);
    }
    let url = PostgresUrl {
        config: Box::new(config),
        schema: SCHEMA.into(),
    };
    match schema {
        Some(schema) => url.with_schema(schema),
        None => Ok(url),
    }
}

/// The URL without our own parameter, and its value. The others are the driver's.
fn split_schema(url: &str) -> Result<(String, Option<&str>), StoreUrlError> {
    let Some((address, parameters)) = url.split_once('?') else {
        return Ok((url.to_owned(), None));
    };
    let ours = |parameter: &&str| parameter.starts_with(SCHEMA_PARAMETER);
    let mut schemas = parameters
        .split('&')
        .filter_map(|parameter| parameter.strip_prefix(SCHEMA_PARAMETER));
    let schema = schemas.next();
    if schemas.next().is_some() {
        return Err(StoreUrlError::PostgresSchema);
    }
    let others: Vec<_> = parameters.split('&').filter(|one| !ours(one)).collect();
    let url = match others.as_slice() {
        [] => address.to_owned(),
        others => format!("{address}?{}", others.join("&")),
    };
    Ok((url, schema))
}

impl PostgresUrl {
    /// The same database with its tables in that schema, which is made if it isn't
    /// there. Stores in two schemas know nothing of each other.
    ///
    /// # Errors
    ///
    /// [`StoreUrlError::PostgresSchema`] for a name that can't be one.
    pub fn with_schema(mut self, schema: &str) -> Result<Self, StoreUrlError> {
        let is_plain = schema
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        let begins_well = !schema.starts_with("pg_")
            && schema.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
        if !is_plain || !begins_well || schema.len() > SCHEMA_BYTES_MAX {
            return Err(StoreUrlError::PostgresSchema);
        }
        self.schema = schema.into();
        Ok(self)
    }

    /// The schema that the tables are in.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether it holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// The same with this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        for (n, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match host {
                Host::Tcp(name) => write!(f, "{comma}{name}")?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{comma}{}", path.display())?,
            }
            if let Some(port) = self
                .config
                .get_ports()
                .get(n)
                .or_else(|| self.config.get_ports().first())
            {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.config.get_dbname().unwrap_or_default())?;
        if &*self.schema != SCHEMA {
            write!(f, "?schema={}", self.schema)?;
        }
        Ok(())
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
                "postgres://h/db?schema=No-Name",
                Err(StoreUrlError::PostgresSchema),
            ),
            (
                "postgres://h/db?schema=",
                Err(StoreUrlError::PostgresSchema),
            ),
            (
                "postgres://h/db?schema=a&schema=b",
                Err(StoreUrlError::PostgresSchema),
            ),
            (
                "postgres://h/db?shema=a",
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
            (
                "postgres://u:planted@h/db?schema=bot_2&sslmode=prefer",
                "postgres://h:5432/db?schema=bot_2",
            ),
            ("postgres://h/db?schema=xiaoo", "postgres://h:5432/db"),
        ] {
            let parsed: StoreUrl = url.parse().unwrap();
            assert_eq!(parsed.to_string(), shown);
            assert!(!format!("{parsed:?}").contains("planted"), "{parsed:?}");
        }
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let long = "s".repeat(SCHEMA_BYTES_MAX);
        for (schema, is_good) in [
            ("xiaoo", true),
            ("_2", true),
            (&*long, true),
            (&*format!("{long}s"), false),
            ("2nd", false),
            ("pg_own", false),
            ("a b", false),
            ("a\"b", false),
            ("Ä", false),
        ] {
            let Ok(StoreUrl::Postgres(url)) = "postgres://u@h/db".parse() else {
                panic!("a server's url");
            };
            let changed = url.with_schema(schema);
            assert_eq!(changed.is_ok(), is_good, "{schema}");
            if let Ok(url) = changed {
                assert_eq!(url.schema(), schema);
            }
        }
    }

    #[test]
    fn each_instance_has_a_store_of_its_own_beside_the_first() {
        let file: StoreUrl = "sqlite:/var/lib/xiaoo.db".parse().unwrap();
        let server: StoreUrl = "postgres://h/db".parse().unwrap();
        let long = "a".repeat(99);
        for (name, path, schema) in [
            ("sales", "xiaoo-sales.db", "xiaoo_sales"),
            (
                "sales-2",
                "xiaoo-sales-2.db",
                "xiaoo_sales_2_6d25341d95702214",
            ),
            ("", "xiaoo--cbf29ce484222325.db", "xiaoo__cbf29ce484222325"),
        ] {
            let expected = StoreUrl::sqlite(format!("/var/lib/{path}"));
            assert_eq!(file.for_instance(name), expected, "{name}");
            let shown = server.for_instance(name).to_string();
            assert_eq!(shown, format!("postgres://h:5432/db?schema={schema}"));
        }
        for url in [&file, &server] {
            let names = [
                "a-b",
                "a_b",
                "A-b",
                "a b",
                "a/b",
                "../a",
                "小欧",
                "小区",
                &long,
                &long[1..],
            ];
            let mut urls: Vec<_> = names
                .iter()
                .map(|name| url.for_instance(name).to_string())
                .collect();
            urls.sort_unstable();
            urls.dedup();
            assert_eq!(urls.len(), names.len(), "{urls:?}");
            assert!(urls.iter().all(|url| url.len() < 99 && !url.contains("..")));
        }
        let bare = StoreUrl::sqlite("store").for_instance("a");
        assert_eq!(bare, StoreUrl::sqlite("store-a"));
        // Of an instance's instance the schema stays a name that can be one.
        let deep = (0..3).fold(server, |url, _| url.for_instance(&long));
        let StoreUrl::Postgres(deep) = deep else {
            panic!("a server's url");
        };
        assert!(deep.clone().with_schema(deep.schema()).is_ok(), "{deep}");
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
