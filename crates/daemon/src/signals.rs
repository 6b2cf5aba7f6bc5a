//! Signals become messages to the scheduler.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use crate::scheduler::Message;

/// Listens for SIGTERM and SIGINT (stop), SIGHUP (reload) and SIGUSR1 (log every zone's state).
pub(crate) fn listen(sender: &UnboundedSender<Message>) -> io::Result<()> {
    let kinds: [(SignalKind, fn() -> Message); 4] = [
        (SignalKind::terminate(), || Message::Stop),
        (SignalKind::interrupt(), || Message::Stop),
        (SignalKind::hangup(), || Message::Reload),
        (SignalKind::user_defined1(), || Message::Dump),
    ];
    for (kind, message) in kinds {
        let mut signals = signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if sender.send(message()).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}
