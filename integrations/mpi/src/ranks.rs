//! The processes of a run: what they tell each other, and how long one waits for the rest.
//!
//! **Theory.** MPI waits for ever for a process that stands still, and its launcher ends a run only where one has ended. So all
//! that waits here is begun without blocking and asked after until it is done or [patience](Ranks::new) is over.
//!
//! **Practice.** A process that gives up names what it waited for and aborts; the launcher then ends the others.

use anyhow::{Result, ensure};
use mpi::collective::{Root as _, SystemOperation};
use mpi::datatype::{Buffer, BufferMut};
use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Equivalence};
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;
use std::time::{Duration, Instant};

/// The time between two questions after a message: far less than a step, and enough to leave the processor to others.
const PAUSE: Duration = Duration::from_micros(50);

/// All processes of a run.
pub struct Ranks {
    world: SimpleCommunicator,
    patience: Duration,
}

impl Ranks {
    /// These processes, which wait this long for each other.
    pub fn new(world: SimpleCommunicator, patience: Duration) -> Self {
        Self { world, patience }
    }

    /// The index of this process.
    pub fn rank(&self) -> u32 {
        self.world.rank().unsigned_abs()
    }

    /// The number of processes.
    pub fn size(&self) -> u32 {
        self.world.size().unsigned_abs()
    }

    /// Ends all processes with this exit code.
    pub fn abort(&self, code: i32) -> ! {
        self.world.abort(code)
    }

    /// Replaces the numbers by their sums over all processes: the same bits in each.
    pub fn sum(&self, numbers: &mut [f32], what: &str) {
        let own = numbers.to_vec();
        self.reduce(&own[..], numbers, SystemOperation::sum(), what);
    }

    /// Gives all processes what the first one has.
    pub fn share_first<T: Equivalence>(&self, numbers: &mut [T], what: &str) {
        scope(|scope| self.wait(self.world.process_at_rank(0).immediate_broadcast_into(scope, numbers), what));
    }

    /// Checks that the bytes are the same in all processes.
    pub fn check_same(&self, bytes: &[u8], what: &str) -> Result<()> {
        let mut hasher = DefaultHasher::new(); // of fixed keys, so all processes have the same one
        hasher.write(bytes);
        let own = [hasher.finish()];
        let [mut least, mut most] = [own; 2];
        self.reduce(&own[..], &mut least[..], SystemOperation::min(), what);
        self.reduce(&own[..], &mut most[..], SystemOperation::max(), what);
        ensure!(
            least == most,
            "expected {what} to be the same in all processes, found others: do their adapters differ?"
        );
        Ok(())
    }

    fn reduce<T>(&self, own: &T, all: &mut T, operation: SystemOperation, what: &str)
    where
        T: Buffer + BufferMut + ?Sized,
    {
        scope(|scope| self.wait(self.world.immediate_all_reduce_into(scope, own, all, operation), what));
    }

    /// Waits for a message, or gives up.
    fn wait<'a, D: ?Sized, S: Scope<'a>>(&self, mut request: Request<'a, D, S>, what: &str) {
        let begun = Instant::now();
        while let Err(unfinished) = request.test() {
            if begun.elapsed() > self.patience {
                let (rank, size, seconds) = (self.rank(), self.size(), self.patience.as_secs());
                eprintln!(
                    "train: process {rank} of {size}: expected {what} of all processes within {seconds} s, found one that stands still"
                );
                self.abort(1);
            }
            request = unfinished;
            std::thread::sleep(PAUSE);
        }
    }
}
