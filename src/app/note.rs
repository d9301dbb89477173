//! A note in a folder: a file with one value, which is read, and written whole or not at all.

use std::error::Error;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::str::FromStr;

/// Reads a note; none if it is not there.
pub(super) fn read<T>(path: &Path) -> io::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a note, whole or not at all.
pub(super) fn write(path: &Path, value: impl Display) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    writeln!(file, "{value}")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
