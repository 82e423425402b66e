//! Running the checks.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::nodes::Suite;
use crate::{Broken, Rig};

/// One rule of the contract.
#[derive(Clone, Copy)]
pub struct Check {
    /// What a transport that passes does.
    pub name: &'static str,
    run: fn(Arc<Suite>) -> Verdict,
}

type Verdict = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>>;

impl Check {
    /// Checks a transport, within the runtime of the caller. Whatever takes longer than `patience` is broken.
    ///
    /// # Errors
    /// What the transport does wrong.
    pub async fn run(&self, rig: Arc<dyn Rig>, patience: Duration) -> Result<(), Broken> {
        (self.run)(Arc::new(Suite { rig, patience })).await
    }
}

/// All checks.
pub fn checks() -> Vec<Check> {
    crate::each_check! { check_table }
}

macro_rules! check_table {
    ([] $($module:ident :: $name:ident)*) => {
        vec![$(Check {
            name: stringify!($name),
            run: |suite| Box::pin(async move { crate::checks::$module::$name(&suite).await }),
        }),*]
    };
}
pub(crate) use check_table;

/// Runs one check in a runtime of its own, as often as `MILLPOND_CONFORMANCE_TIMES` says: once unless it is set.
///
/// # Panics
/// When the transport breaks the rule, or there is no check of that name.
pub fn run(name: &str, rig: Arc<dyn Rig>) {
    let check = checks().into_iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("there is no check named {name}"));
    let times = std::env::var("MILLPOND_CONFORMANCE_TIMES").ok();
    let times: u32 = times.map_or(1, |times| times.parse().expect("a number of times"));
    for time in 1..=times {
        // A runtime for each time: nothing of one time is left in the next.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("the system has threads");
        if let Err(broken) = runtime.block_on(check.run(Arc::clone(&rig), PATIENCE)) {
            panic!("{name} (time {time} of {times}): {broken}");
        }
        runtime.shutdown_background();
    }
}

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
