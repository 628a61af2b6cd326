//! Checks of folders and secret files: owner, mode, free space, and the kind of file system.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::{
    fs::{Access, access, statfs, statvfs},
    process::geteuid,
};

use crate::report::Report;

/// Below this share of free space, in percent, the check warns.
const MIN_FREE_PERCENT: u64 = 15;
/// Below this number of free bytes, writes are about to fail.
const MIN_FREE_BYTES: u64 = 64 << 20;

/// The magic numbers of network file systems (`statfs(2)`, `linux/magic.h`). SQLite's locks do not
/// hold there, and a second machine can open the same files.
const NETWORK_FILE_SYSTEMS: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x517B, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
];

/// Checks a folder that the program writes to. A folder that does not exist is checked at its
/// nearest existing parent, because the program creates the rest.
pub fn folder(report: &mut Report, check: &'static str, path: &Path) {
    let existing = path.ancestors().find(|folder| folder.exists());
    // A relative path whose first part does not exist is below the current folder.
    let existing = existing.unwrap_or_else(|| Path::new("."));
    let shown = existing.display();
    let Ok(metadata) = fs::metadata(existing) else {
        return report.fault(check, format!("{shown} cannot be read"));
    };
    if !metadata.is_dir() {
        return report.fault(check, format!("{shown} is a file and must be a folder"));
    }
    if access(existing, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let user = geteuid().as_raw();
        return report.fault(
            check,
            format!(
                "user {user} cannot write to {shown}, which belongs to user {}",
                metadata.uid()
            ),
        );
    }
    let mode = metadata.permissions().mode();
    if existing == path && mode & 0o077 != 0 {
        report.warn(
            check,
            format!("other users can read {shown} (mode {:o}); run chmod 700", mode & 0o7777),
        );
    }
    file_system(report, check, existing);
}

/// Checks that no other user can read a file with secrets. A missing file is no finding.
pub fn secret_file(report: &mut Report, check: &'static str, path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    let (mode, shown) = (metadata.permissions().mode(), path.display());
    if mode & 0o077 != 0 {
        report.warn(
            check,
            format!("other users can read {shown} (mode {:o}); run chmod 600", mode & 0o7777),
        );
    }
    if fs::File::open(path).is_err() {
        let user = geteuid().as_raw();
        report.fault(
            check,
            format!("user {user} cannot read {shown}, which belongs to user {}", metadata.uid()),
        );
    }
}

fn file_system(report: &mut Report, check: &'static str, path: &Path) {
    let shown = path.display();
    if let Ok(about) = statfs(path)
        && let Some(name) = network_file_system(about.f_type)
    {
        report.warn(
            check,
            format!(
                "{shown} is on a network file system ({name}), where locks of SQLite may not hold; \
                 use a local disk"
            ),
        );
    }
    match statvfs(path) {
        Ok(space) => {
            let (free, all) = (space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize);
            report_space(report, check, path, free, all);
        }
        Err(error) => report.warn(check, format!("the free space of {shown} is unknown: {error}")),
    }
}

fn report_space(report: &mut Report, check: &'static str, path: &Path, free: u64, all: u64) {
    let percent = free.saturating_mul(100).checked_div(all).unwrap_or(0);
    let text = format!("{} has {} MiB free, {percent} %", path.display(), free >> 20);
    if free < MIN_FREE_BYTES {
        report.fault(check, format!("{text}; writes are about to fail, free or add space"));
    } else if percent < MIN_FREE_PERCENT {
        report.warn(check, format!("{text}; less than {MIN_FREE_PERCENT} %"));
    } else {
        report.ok(check, text);
    }
}

fn network_file_system(kind: impl TryInto<i64>) -> Option<&'static str> {
    let kind = kind.try_into().ok()?;
    // The type of the field is signed on some platforms.
    let is = |number: u32| kind == i64::from(number) || kind == i64::from(number.cast_signed());
    NETWORK_FILE_SYSTEMS.iter().find(|(number, _)| is(*number)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    fn messages(check: impl FnOnce(&mut Report)) -> Vec<(Level, String)> {
        let mut report = Report::default();
        check(&mut report);
        report.findings().iter().map(|found| (found.level, found.message.clone())).collect()
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn folder_that_others_can_read_is_a_warning() {
        let folder_of_test = tempfile::tempdir().unwrap();
        let path = folder_of_test.path().join("data");
        fs::create_dir(&path).unwrap();
        chmod(&path, 0o755);
        let all = messages(|report| folder(report, "data", &path));
        assert_eq!(all[0].0, Level::Warning);
        assert!(all[0].1.contains("mode 755"), "{all:?}");
        chmod(&path, 0o700);
        let all = messages(|report| folder(report, "data", &path));
        assert!(all.iter().all(|(_, message)| !message.contains("mode")), "{all:?}");
    }

    #[test]
    fn missing_folder_is_checked_at_its_parent_and_not_created() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let all = messages(|report| folder(report, "data", &path));
        assert!(all.iter().all(|(level, _)| *level != Level::Fault), "{all:?}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn file_in_place_of_a_folder_is_a_fault() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::write(&path, "").unwrap();
        let all = messages(|report| folder(report, "data", &path));
        assert_eq!(all[0].0, Level::Fault);
    }

    #[test]
    fn secret_file_that_others_can_read_is_a_warning() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("seal.key");
        assert_eq!(messages(|report| secret_file(report, "seal_keys", &path)), []);
        fs::write(&path, "x").unwrap();
        chmod(&path, 0o644);
        let all = messages(|report| secret_file(report, "seal_keys", &path));
        assert_eq!((all.len(), all[0].0), (1, Level::Warning));
        chmod(&path, 0o600);
        assert_eq!(messages(|report| secret_file(report, "seal_keys", &path)), []);
    }

    #[test]
    fn little_space_is_a_warning_and_then_a_fault() {
        let level = |free: u64, all: u64| {
            messages(|report| report_space(report, "data", Path::new("/x"), free, all))[0].0
        };
        assert_eq!(level(50 << 30, 100 << 30), Level::Ok);
        assert_eq!(level(14 << 30, 100 << 30), Level::Warning);
        assert_eq!(level(1 << 20, 100 << 30), Level::Fault);
        assert_eq!(level(0, 0), Level::Fault);
    }

    #[test]
    fn network_file_systems_are_known_by_their_number() {
        assert_eq!(network_file_system(0x6969_i64), Some("NFS"));
        assert_eq!(network_file_system(0xFF53_4D42_i64), Some("CIFS"));
        assert_eq!(network_file_system(-11_317_950_i64), Some("CIFS"));
        assert_eq!(network_file_system(0xEF53_i64), None, "ext4");
    }
}
