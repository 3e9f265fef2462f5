//! What stands between the page and a browser: how it is built, and how it is served.

pub mod build;
pub mod site;
