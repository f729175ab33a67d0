//! Where units are on a machine.

use std::path::{Path, PathBuf};

/// Where an operator's unit is, and where `init` and `install.sh` write it.
pub const UNIT_PATH: &str = "/etc/systemd/system/xiaoo-rebuild.service";
/// Where the Debian package has its unit; systemd prefers the operator's.
pub const PACKAGED_UNIT_PATH: &str = "/usr/lib/systemd/system/xiaoo-rebuild.service";
/// What else people call theirs.
const OTHER_UNIT_PATH: &str = "/etc/systemd/system/xiaoo.service";

/// The unit that systemd takes of those below `root`, which is `/` but in tests.
#[must_use]
pub fn installed(root: &Path) -> Option<PathBuf> {
    [UNIT_PATH, PACKAGED_UNIT_PATH, OTHER_UNIT_PATH]
        .into_iter()
        .map(|path| below(root, path))
        .find(|path| path.is_file())
}

/// Whether the package has brought a unit.
#[must_use]
pub fn is_packaged(root: &Path) -> bool {
    below(root, PACKAGED_UNIT_PATH).is_file()
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_packages_unit_is_found_and_the_operators_comes_before_it() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let put = |path: &str| {
            let path = below(root, path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        assert_eq!(installed(root), None);
        assert!(!is_packaged(root));
        let packaged = put(PACKAGED_UNIT_PATH);
        assert_eq!(installed(root), Some(packaged));
        assert!(is_packaged(root));
        let own = put(UNIT_PATH);
        assert_eq!(installed(root), Some(own));
    }

    #[test]
    fn the_package_has_its_unit_where_it_is_looked_for() {
        let build = include_str!("../../../deploy/debian/build.sh");
        assert!(build.contains(PACKAGED_UNIT_PATH));
    }
}
