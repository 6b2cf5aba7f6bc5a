//! After the story: both keep running, and the zone changes now and then.

use std::thread;
use std::time::{Duration, Instant};

use crate::numbers::span;
use crate::stage::Stage;
use crate::story::publish;
use crate::voice::Voice;

/// Between two changes.
const PAUSE: Duration = Duration::from_secs(10);

/// Changes the zone until it is interrupted, which is the only end of it that is no error.
pub fn stay(stage: &mut Stage, voice: &mut Voice) -> Result<(), String> {
    stage.stay();
    let mut bar = 0u64;
    loop {
        let next = Instant::now() + PAUSE;
        voice.waiting(&format!("serial {}; Ctrl-C ends it", stage.newest()));
        stage.until("the next change", PAUSE * 2, |_| {
            thread::sleep(Duration::from_millis(50));
            (Instant::now() >= next).then_some(())
        })?;
        let old = if bar == 0 { String::new() } else { format!("- bar 60 TXT \"{bar}\"\n") };
        bar += 1;
        let latency = publish(stage, &format!("{old}+ bar 60 TXT \"{bar}\""))?;
        voice.seen(&format!("serial {} is served {} after its NOTIFY", stage.newest(), span(latency)));
    }
}
