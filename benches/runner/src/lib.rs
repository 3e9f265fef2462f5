//! The benchmark: every op against a copy of the same number of bytes, on one adapter.
//!
//! tweedie's ops only stream memory, so the floor of each is a copy that reads and writes the same number of bytes. A row of the
//! table measures an op, `copy_buffer_to_buffer` and a streaming copy shader alternately, in the same run:
//!
//! - [`ops`] and [`workloads`]: the two tables of what is measured;
//! - [`set`] and `copies`: buffers and plans, in so many sets that caches are of no use;
//! - `clock` and `measure`: the time that work takes; `fixed`: the part of it that does not depend on the size;
//! - `host`: the time that plans and recordings take on the thread that makes them, next to wgpu's own; `kinds`: the plans
//!   that it measures; `first_use`: the time until they are compiled;
//! - [`runner`]: all of these together, a row at a time;
//! - [`lines`]: a result, as one JSON object a line; [`results`]: those of a run; [`compare`]: pairs of results of two runs;
//! - [`table`]: results as text; [`page`]: results as a page with plots; `units`: how both write numbers.

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
