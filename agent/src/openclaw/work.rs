//! Work that may block, done again and again beside the look that wants it.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// One kind of blocking work with a memory. While it is at it nothing more of it is started: a disk that hangs costs one
/// thread, not one each look. What comes back late is still the answer.
pub(super) struct Work<M, T> {
    memory: Option<M>,
    running: Option<JoinHandle<(M, T)>>,
}

impl<M: Default + Send + 'static, T: Send + 'static> Work<M, T> {
    pub(super) fn new() -> Self {
        Self { memory: None, running: None }
    }

    /// Whether it is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Starts the work, unless it is at it, and waits a while for its end.
    pub(super) async fn run(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&mut M) -> T + Send + 'static,
    ) -> Option<T> {
        if self.running.is_none() {
            let mut memory = self.memory.take().unwrap_or_default();
            self.running = Some(spawn_blocking(move || {
                let result = work(&mut memory);
                (memory, result)
            }));
        }
        self.wait(patience).await
    }

    /// Waits a while for the end of what was started.
    pub(super) async fn wait(&mut self, patience: Duration) -> Option<T> {
        match timeout(patience, self.running.as_mut()?).await {
            Ok(done) => {
                self.running = None;
                let (memory, result) = done.ok()?;
                self.memory = Some(memory);
                Some(result)
            }
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_hangs_is_not_started_twice_and_its_answer_counts() {
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let mut work: Work<u32, u32> = Work::new();
        let long = Duration::from_mins(1);
        assert_eq!(work.run(long, |memory| std::mem::replace(memory, 7)).await, Some(0));
        let hang = move |memory: &mut u32| gate.recv().map_or(0, |()| *memory);
        assert_eq!(work.run(Duration::from_millis(10), hang).await, None);
        assert!(work.is_busy());
        assert_eq!(work.run(Duration::from_millis(10), |_| 9).await, None);
        release.send(()).unwrap();
        assert_eq!(work.wait(long).await, Some(7));
        assert_eq!(work.wait(long).await, None);
        assert_eq!(work.run(long, |_| panic!("it fails")).await, None::<u32>);
        assert_eq!(work.run(long, |memory| *memory).await, Some(0));
    }
}
