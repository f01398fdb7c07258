//! Jobs that take too long.

use std::time::Duration;

use claviger_core::{EnvironmentName, Revision, run::RunId};
use tokio::task::AbortHandle;

use super::Runtime;
use crate::Error;

/// The end of a job's time. Dropped, it does not come.
pub(crate) struct Deadline(AbortHandle);

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Runtime {
    /// Ends a job after so long, unless the deadline is dropped before. Wall clocks may jump meanwhile.
    pub(crate) fn end_job_after(
        &self,
        timeout: Duration,
        (environment, id, fence): (EnvironmentName, RunId, Revision),
    ) -> Deadline {
        let runtime = self.clone();
        let task = self.shared.tasks.spawn(async move {
            if runtime.shared.stop.run_until_cancelled(tokio::time::sleep(timeout)).await.is_none() {
                return;
            }
            // A task of its own: ending the job drops the deadline.
            runtime.again("end a job that took too long", move |runtime| {
                let environment = environment.clone();
                async move {
                    match runtime.time_out(&environment, id, fence).await {
                        Err(Error::RunNotFound | Error::RunEnded | Error::Lost) => Ok(()),
                        done => done,
                    }
                }
            });
        });
        Deadline(task.abort_handle())
    }
}
