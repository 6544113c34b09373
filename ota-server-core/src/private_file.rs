//! Small files with secrets in them: made whole, readable by their owner only, and refused once others can read them.

use alloc::string::String;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

/// Reads `file`; `None` if it is not there.
///
/// # Errors
/// [`PrivateFileError::Exposed`] if others than its owner may read it, [`PrivateFileError::Io`] if it cannot be read.
pub fn read(file: &Path) -> Result<Option<Zeroizing<String>>, PrivateFileError> {
    let mut open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mode = mode(&open)?;
    if mode & 0o077 != 0 {
        return Err(PrivateFileError::Exposed(mode));
    }
    let mut text = Zeroizing::new(String::new());
    open.read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Writes `file`. A crash leaves all of it or nothing: it is written under its name with `.new` behind it first, which no
/// other file may have.
///
/// # Errors
/// [`PrivateFileError::Io`].
pub fn write(file: &Path, text: &str) -> Result<(), PrivateFileError> {
    let draft = append(file, ".new");
    let _ = std::fs::remove_file(&draft);
    let mut open = private().write(true).create_new(true).open(&draft)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(&draft, file)?;
    Ok(sync_folder(file)?)
}

/// The name stands in the folder, which has to reach the disk as well.
#[cfg(unix)]
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders cannot be opened here; the file system looks after them.
#[cfg(not(unix))]
fn sync_folder(_file: &Path) -> io::Result<()> {
    Ok(())
}

/// `file` with `ending` behind its whole name. In place of its own ending, two files would get one name.
pub(crate) fn append(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

/// Why a private file cannot be used. The operator's to change.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// Others than its owner may read it.
    #[error("it can be read by others (mode {0:o}); run chmod 600 on it, and think about new secrets")]
    Exposed(u32),
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How such a file is opened to be written: if it is made, then for its owner only.
#[cfg(unix)]
pub(crate) fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
pub(crate) fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn mode(open: &File) -> io::Result<u32> {
    use std::os::unix::fs::PermissionsExt;
    Ok(open.metadata()?.permissions().mode() & 0o777)
}

/// Who may read a file is not written in a mode here.
#[cfg(not(unix))]
fn mode(_open: &File) -> io::Result<u32> {
    Ok(0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn private_file_is_made_private_and_refused_once_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets");
        assert!(read(&file).unwrap().is_none());
        write(&file, "hello").unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&file).unwrap().unwrap().as_str(), "hello");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(&file), Err(PrivateFileError::Exposed(0o640))));
    }

    #[test]
    fn draft_is_no_file_of_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new] = ["release", "release.new"].map(|name| folder.path().join(name));
        write(&new, "the next key").unwrap();
        write(&old.with_extension("next"), "a counter beside the old one").unwrap();
        write(&old.with_extension("key"), "another key").unwrap();
        assert_eq!(read(&new).unwrap().unwrap().as_str(), "the next key");
    }

    #[test]
    fn draft_that_a_crash_left_behind_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets");
        std::fs::write(append(&file, ".new"), "hal").unwrap();
        write(&file, "hello").unwrap();
        assert_eq!(read(&file).unwrap().unwrap().as_str(), "hello");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
