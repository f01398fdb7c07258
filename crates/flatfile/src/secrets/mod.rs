//! Secrets: one row for each name, with the value only for a runtime key.

mod list;
mod row;
mod write;

pub(crate) use self::{
    list::list,
    write::{delete, upsert},
};
