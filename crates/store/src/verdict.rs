//! What an error of SQLite says: of a disk that refuses, of a file that is damaged, of one that is not ours.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::ffi;

/// What is said of a file that is sound but not ours to read.
pub(crate) fn foreign(what: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_NOTADB), Some(what.into()))
}

/// The octet that says which SQLite may write to the file: of one with another value it would say no more than that it
/// is read-only, as if the disk were.
pub(crate) fn is_writable_format(path: &Path) -> bool {
    let mut header = [0; 19];
    match File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => matches!(header[18], 1 | 2),
        // An empty file is a new one, and what cannot be read SQLite will tell.
        Err(_) => true,
    }
}

/// Whether SQLite says that the file is not, or no longer, what it should be. Our statements are right for our schema,
/// so that an error in one of them means that the schema is damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    match error {
        rusqlite::Error::SqliteFailure(failure, _)
        | rusqlite::Error::SqlInputError { error: failure, .. } => match failure.code {
            Code::SystemIoFailure => matches!(
                failure.extended_code,
                ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS
            ),
            Code::PermissionDenied
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::OutOfMemory
            | Code::ReadOnly
            | Code::OperationInterrupted
            | Code::OperationAborted
            | Code::DiskFull
            | Code::CannotOpen
            | Code::FileLockingProtocolFailed
            | Code::ApiMisuse
            | Code::NoLargeFileSupport
            | Code::AuthorizationForStatementDenied => false,
            _ => true,
        },
        rusqlite::Error::InvalidPath(_) | rusqlite::Error::NulError(_) => false,
        _ => true,
    }
}

/// Whether a failed COMMIT may be on disk all the same.
pub(crate) fn is_doubtful(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::SystemIoFailure) && !is_damage(error)
}
