//! The trunks: each kept registered where it has an account, and asked every half minute whether it is there.

pub mod registration;
