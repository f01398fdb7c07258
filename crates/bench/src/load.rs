//! Load: so many at a time, for so long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::table::Measured;

/// Repeats some work in each of `width` lanes until the time is over. The work is told its lane and turn.
pub(crate) async fn drive<F, W>(width: usize, time: Duration, work: F) -> Result<Measured>
where
    F: Fn(usize, usize) -> W + Send + Sync + 'static,
    W: Future<Output = Result<()>> + Send,
{
    let (start, work) = (Instant::now(), Arc::new(work));
    let lanes: Vec<_> = (0..width)
        .map(|lane| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < time {
                    let before = Instant::now();
                    work(lane, times.len()).await?;
                    times.push(before.elapsed());
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for lane in lanes {
        times.extend(lane.await??);
    }
    Ok(Measured::work(times, start.elapsed()))
}
