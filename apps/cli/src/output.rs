//! The safetensors file that a command writes: window after window, on a thread of its own, while the next one is computed. It
//! appears at the end, or not at all.

use crate::engine::Values;
use crate::finite::{self, FiniteArgs};
use crate::interrupt;
use crate::report::{Failure, Outcome};
use crate::windows::Window;
use anyhow::{Result, anyhow};
use files::{Announced, TensorStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Windows that may wait while another one is written.
const WAITING: usize = 1;

/// The next bytes of a tensor.
type Piece = (String, Vec<u8>);

/// A file that is being written.
pub struct Output {
    finite: FiniteArgs,
    /// Names of the tensors whose first value that is not finite has been reported.
    told: Vec<String>,
    writer: Option<(SyncSender<Piece>, JoinHandle<Result<TensorStream>>)>,
}

impl Output {
    /// Begins a file with these tensors. From now on, a first Ctrl-C only asks the work to stop.
    pub fn create(path: &Path, finite: FiniteArgs, tensors: Vec<Announced>) -> Outcome<Self> {
        let stream = TensorStream::create(path, tensors)?;
        interrupt::listen();
        let (sender, pieces) = sync_channel(WAITING);
        let thread = thread::spawn(move || write(stream, pieces));
        Ok(Self { finite, told: Vec::new(), writer: Some((sender, thread)) })
    }

    /// Appends a window to a tensor, refusing what is not finite in samples that exist.
    pub fn put(&mut self, name: &str, values: Values, window: &Window, exists: impl Fn(usize) -> bool) -> Outcome {
        if !self.told.iter().any(|told| told == name)
            && let Some(overflow) = finite::first(&values, window, exists)
        {
            self.finite.refuse(name, &values, &overflow, &format!("sample {}", overflow.sample))?;
            self.told.push(name.to_owned());
        }
        self.append(name, values)
    }

    /// Appends values to a tensor, whatever they are.
    pub fn append(&mut self, name: &str, values: Values) -> Outcome {
        if interrupt::requested() {
            return Err(Failure::interrupted());
        }
        let piece = (name.to_owned(), values.into_bytes());
        match &self.writer {
            Some((sender, _)) if sender.send(piece).is_ok() => Ok(()),
            _ => Ok(self.written().map(drop)?), // the error of the thread that writes
        }
    }

    /// Waits until everything is written, and puts the file in place.
    pub fn finish(mut self) -> Outcome {
        Ok(self.written()?.finish()?)
    }

    fn written(&mut self) -> Result<TensorStream> {
        let Some((sender, thread)) = self.writer.take() else { return Err(anyhow!("nothing more can be written")) };
        drop(sender);
        thread.join().unwrap_or_else(|_| Err(anyhow!("the thread that writes has ended")))
    }
}

/// The process must not end before the thread has removed an unfinished file.
impl Drop for Output {
    fn drop(&mut self) {
        let _ = self.written();
    }
}

fn write(mut stream: TensorStream, pieces: Receiver<Piece>) -> Result<TensorStream> {
    for (name, bytes) in pieces {
        stream.append(&name, &bytes)?;
    }
    Ok(stream)
}
