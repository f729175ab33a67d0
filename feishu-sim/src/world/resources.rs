//! Uploaded images and files, in memory, the oldest dropped first.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::config::bound;

/// One image or file.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) name: String,
    pub(crate) mime: String,
    /// `image`, or the `file_type` of the upload.
    pub(crate) kind: String,
    /// Whether the app uploaded it; else a person sent it.
    pub(crate) by_app: bool,
    pub(crate) bytes: Bytes,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    by_key: HashMap<String, Resource>,
    order: VecDeque<String>,
    total: usize,
}

impl Resources {
    pub(crate) fn put(&mut self, key: &str, resource: Resource) {
        self.total += resource.bytes.len();
        self.order.push_back(key.to_owned());
        self.by_key.insert(key.to_owned(), resource);
        while self.total > bound::RESOURCE_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(gone) = self.by_key.remove(&oldest) {
                self.total = self.total.saturating_sub(gone.bytes.len());
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Resource> {
        self.by_key.get(key)
    }
}
