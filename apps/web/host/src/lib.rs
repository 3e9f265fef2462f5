//! Builds the page and serves it.

pub mod build;
pub mod site;
