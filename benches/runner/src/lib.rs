//! The benchmark: every op against a copy of as many bytes, on one adapter.
//!
//! tweedie's ops only stream memory, so the floor of each is a copy that reads and writes as many bytes. A row of the
//! table measures an op, `copy_buffer_to_buffer` and a streaming copy shader in turns, in the same run:
//!
//! - [`ops`] and [`workloads`]: the two tables of what is measured;
//! - [`set`] and `copies`: buffers and plans, enough sets of them that no cache can answer for memory;
//! - `clock` and `measure`: the time that work takes; `fixed`: the part of it that no size changes;
//! - `host`: the time that plans and recordings take of the thread that makes them, beside wgpu's own; `kinds`: the plans
//!   that it measures; `first_use`: the same until they are compiled;
//! - [`runner`]: all of these together, a row at a time;
//! - [`lines`]: a result, as one JSON object a line; [`results`]: those of a run; [`compare`]: pairs of two runs;
//! - [`table`]: results as text; [`page`]: as a page with plots; `units`: numbers as both write them.

mod clock;
pub mod compare;
mod copies;
mod first_use;
mod fixed;
mod host;
pub mod kinds;
pub mod lines;
mod measure;
pub mod ops;
pub mod page;
pub mod results;
pub mod runner;
pub mod set;
mod statistics;
pub mod table;
mod units;
pub mod workloads;
