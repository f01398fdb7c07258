//! The file system is full.
