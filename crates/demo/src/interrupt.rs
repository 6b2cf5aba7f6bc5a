//! Ctrl-C, SIGTERM and SIGHUP, as a flag that all who wait look at, so that the way out is the ordinary one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody wants us to end. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Never comes; for tests.
    pub fn never() -> Interrupt {
        Interrupt::default()
    }

    /// Listens for the signals from now on.
    pub fn listen() -> Result<Interrupt, String> {
        let interrupt = Interrupt::default();
        let flag = Arc::clone(&interrupt.0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(|error| format!("no runtime for signals: {error}"))?;
        let signals = runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            kinds.map(signal)
        });
        let [interrupted, terminated, hung_up] = signals;
        let told = |error| format!("no signals: {error}");
        let mut all = (interrupted.map_err(told)?, terminated.map_err(told)?, hung_up.map_err(told)?);
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = all.0.recv() => {}
                        _ = all.1.recv() => {}
                        _ = all.2.recv() => {}
                    }
                    flag.store(true, Ordering::Relaxed);
                }
            });
        });
        Ok(interrupt)
    }

    /// Whether one came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
