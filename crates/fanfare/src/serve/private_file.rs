//! Files that hold a secret: readable and writable by their owner alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::report::Report;

/// Reads a private file; `None` if there is none.
///
/// # Errors
/// When others than its owner may do anything with it, or it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Report> {
    let failed = |error: io::Error| Report::because(format_args!("cannot read {}", path.display()), &error);
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if mode & 0o177 != 0 {
        let what = format!("{} holds a secret and has mode {mode:04o}, which is wider than 0600", path.display());
        let advice = format!("if nobody else has read it: chmod 600 {}", path.display());
        return Err(Report::new(what).advise(advice));
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Writes a private file, whole or not at all: (1) a temporary file beside it, mode 0600 from its creation, (2) synced,
/// (3) renamed over the name, (4) the directory synced. A crash before (3) leaves what was there before.
///
/// # Errors
/// When any of that fails.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Report> {
    let write = || {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| Report::because(format_args!("cannot write {}", path.display()), &error))
}

/// Makes a directory, and those above it, for their owner alone. One that is there already stays as it is.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make_directory(path: &Path) -> Result<(), Report> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Report::because(format_args!("cannot make the data directory {}", path.display()), &error)
            .advise("set data_dir (--data-dir, FANFARE_DATA_DIR) to a directory that this user may write")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_private_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn a_file_that_others_can_reach_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write(&path, "one").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o700] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let report = read(&path).unwrap_err().to_string();
            assert!(report.contains(&format!("{mode:04o}")) && report.contains("chmod 600"), "{report}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("one"));
    }
}
