//! The rules of a thread, as plain functions over plain data: no I/O, no clock.

pub mod templates;
