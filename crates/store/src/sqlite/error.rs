//! What SQLite's and the file system's errors mean to the store.

use std::{io, sync::Arc};

use rusqlite::{Error as Sqlite, ErrorCode, ffi};

use crate::Error;

impl From<Sqlite> for Error {
    fn from(error: Sqlite) -> Error {
        match error.sqlite_error() {
            Some(failure) => from_code(failure.code, failure.extended_code, &error),
            None => None,
        }
        .unwrap_or_else(|| Error::Unavailable { source: Some(Arc::new(error)) })
    }
}

fn from_code(code: ErrorCode, extended: i32, error: &Sqlite) -> Option<Error> {
    match code {
        ErrorCode::DiskFull => Some(Error::Full),
        // The log's index could not be made larger.
        ErrorCode::SystemIoFailure if extended == ffi::SQLITE_IOERR_SHMSIZE => Some(Error::Full),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Error::ReadOnly),
        ErrorCode::NotADatabase => Some(Error::Damaged { what: "the file is not a database" }),
        ErrorCode::DatabaseCorrupt => Some(Error::Damaged { what: "the database is malformed" }),
        _ if matches!(error, Sqlite::FromSqlConversionFailure(..)) => {
            Some(Error::Damaged { what: "a column has a value of a wrong type" })
        }
        _ => None,
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly,
            _ => Error::Unavailable { source: Some(Arc::new(error)) },
        }
    }
}
