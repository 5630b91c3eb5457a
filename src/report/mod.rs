//! The numbers of the front desk, and their charts.
//!
//! [`today`]: what the day came to, as plain functions over rows. [`chart`]: SVG, made here. The rows themselves are
//! read by [`crate::store::today`], each by a range of an index.

pub mod chart;
pub mod today;
