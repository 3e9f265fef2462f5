//! The processes of a run: their messages, and how long one waits for the others.
//!
//! **Theory.** MPI waits for ever for a process that hangs, and its launcher ends a run only if a process has ended. So every
//! operation here is started without blocking and polled until it is done or the [time limit](Ranks::new) is reached.
//!
//! **Practice.** A process that gives up reports what it waited for and aborts; the launcher then ends the others.

use anyhow::{Result, ensure};
use mpi::collective::{Root as _, SystemOperation};
use mpi::datatype::{Buffer, BufferMut};
use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Equivalence};
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;
use std::time::{Duration, Instant};

/// The time between two polls of a message: far less than a step, and long enough to leave the processor to others.
const PAUSE: Duration = Duration::from_micros(50);

/// All processes of a run.
pub struct Ranks {
    world: SimpleCommunicator,
    patience: Duration,
}

impl Ranks {
    /// Takes these processes, which wait at most this long for each other.
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

    /// Replaces the numbers by their sums over all processes, with the same bits in each process.
    pub fn sum(&self, numbers: &mut [f32], what: &str) {
        let own = numbers.to_vec();
        self.reduce(&own[..], numbers, SystemOperation::sum(), what);
    }

    /// Sends the numbers of the first process to all others.
    pub fn share_first<T: Equivalence>(&self, numbers: &mut [T], what: &str) {
        scope(|scope| self.wait(self.world.process_at_rank(0).immediate_broadcast_into(scope, numbers), what));
    }

    /// Checks that the bytes are the same in all processes.
    pub fn check_same(&self, bytes: &[u8], what: &str) -> Result<()> {
        let mut hasher = DefaultHasher::new(); // has fixed keys, so it is the same in all processes
        hasher.write(bytes);
        let own = [hasher.finish()];
        let [mut least, mut most] = [own; 2];
        self.reduce(&own[..], &mut least[..], SystemOperation::min(), what);
        self.reduce(&own[..], &mut most[..], SystemOperation::max(), what);
        ensure!(
            least == most,
            "expected {what} to be the same in all processes, found different ones: do their adapters differ?"
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
                    "train: process {rank} of {size}: expected {what} from all processes within {seconds} s, found one that does not respond"
                );
                self.abort(1);
            }
            request = unfinished;
            std::thread::sleep(PAUSE);
        }
    }
}
