//! The benchmark: every op against the copy of as many bytes, on one adapter.
//!
//! tweedie's ops only stream memory, so the floor of each is a copy that reads and writes as many bytes. Each row of the
//! table measures an op, `copy_buffer_to_buffer` and a streaming copy shader in turns, in the same run:
//!
//! - [`ops`] and [`workloads`]: what is measured, two tables;
//! - [`batch`] and [`copies`]: buffers and plans, enough sets of them that no cache can answer for memory;
//! - [`clock`] and [`measure`]: how long it takes; [`fixed`]: what it takes at any size; [`runner`]: all of these together, a row at a time;
//! - [`lines`]: a result, as one JSON object a line; [`compare`]: two files of them joined;
//! - [`table`]: results as text; [`page`]: as a page with plots, which [`bars`] and [`curves`] draw on a [`canvas`].

pub mod bars;
pub mod batch;
pub mod canvas;
pub mod clock;
pub mod compare;
pub mod copies;
pub mod curves;
pub mod fixed;
pub mod interrupt;
pub mod lines;
pub mod measure;
pub mod ops;
pub mod page;
pub mod runner;
pub mod statistics;
pub mod table;
pub mod workloads;
