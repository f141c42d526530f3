//! Progress of long runs on standard error: a bar for people, JSON lines for programs.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rezarr::Progress;

use crate::args::{ProgressMode, Talk};

/// Shows the progress of one run.
pub(crate) struct Reporter {
    mode: ProgressMode,
    bar: ProgressBar,
    begun: Instant,
    last: Option<Instant>,
}

impl Reporter {
    pub(crate) fn new(talk: &Talk) -> Self {
        let mode = match talk.progress {
            ProgressMode::Auto if talk.quiet || !std::io::stderr().is_terminal() => ProgressMode::None,
            ProgressMode::Auto => ProgressMode::Bar,
            mode => mode,
        };
        let bar = if mode == ProgressMode::Bar {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) =
            ProgressStyle::with_template("{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left")
        {
            bar.set_style(style);
        }
        Self { mode, bar, begun: Instant::now(), last: None }
    }

    /// Takes a look of the library at its own work.
    pub(crate) fn show(&mut self, progress: &Progress) {
        match self.mode {
            ProgressMode::Bar => {
                self.bar.set_length(progress.total_bytes);
                self.bar.set_message(progress.array.clone());
                self.bar.set_position(progress.done_bytes);
            }
            ProgressMode::Json => {
                let done = progress.done_bytes >= progress.total_bytes;
                if done || self.last.is_none_or(|last| last.elapsed() >= Duration::from_millis(500)) {
                    self.last = Some(Instant::now());
                    self.line(progress);
                }
            }
            ProgressMode::Auto | ProgressMode::None => {}
        }
    }

    fn line(&self, progress: &Progress) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = progress.done_bytes as f64 / seconds.max(1e-9);
        let left = (rate > 0.0).then(|| progress.total_bytes.saturating_sub(progress.done_bytes) as f64 / rate);
        let event = serde_json::json!({
            "event": "progress",
            "array": progress.array,
            "done_bytes": progress.done_bytes,
            "total_bytes": progress.total_bytes,
            "seconds": seconds,
            "bytes_per_second": rate,
            "seconds_left": left,
        });
        let _ = writeln!(std::io::stderr().lock(), "{event}");
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
