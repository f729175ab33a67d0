//! The store as operators meet it: opened, or refused with what to do.

use anyhow::anyhow;
use xiaoo_store::{OpenError, Store, StoreGuard, StoreOptions, StoreUrl};

/// Opens the store of a daemon.
///
/// # Errors
/// What is wrong, and what to do about it.
pub fn open(url: &StoreUrl, options: StoreOptions) -> anyhow::Result<(Store, StoreGuard)> {
    Store::open(url, options).map_err(|error| explain(url, error))
}

/// The error, and for a file that is damaged how to save what can be saved.
#[must_use]
pub fn explain(url: &StoreUrl, error: OpenError) -> anyhow::Error {
    if error.is_damage() {
        anyhow!("{error}\n{}", how_to_save(url))
    } else {
        error.into()
    }
}

/// What to do with a store that is damaged.
#[must_use]
pub fn how_to_save(url: &StoreUrl) -> String {
    match url {
        StoreUrl::Sqlite(path) => {
            let path = path.display();
            format!(
                "To save what can be saved:\n\
                 \x20 1. stop the daemon, and copy {path} and {path}-wal to a safe place;\n\
                 \x20 2. xiaoo-app store export --store sqlite:{path} --out saved.jsonl\n\
                 \x20    writes out every turn, unsent answer and piece of history that can still be read;\n\
                 \x20 3. restore a backup, or move {path}, {path}-wal and {path}-shm away and start empty.\n\
                 What Feishu was never acknowledged comes again by itself."
            )
        }
        StoreUrl::Postgres(_) | _ => "To save what can be saved:\n\
             \x20 1. xiaoo-app store export --out saved.jsonl\n\
             \x20    writes out every turn, unsent answer and piece of history that can be read;\n\
             \x20 2. restore the database from a backup, by the server's own means."
            .to_owned(),
    }
}
