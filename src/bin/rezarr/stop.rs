//! Signals that would end the process: SIGINT and SIGTERM become a wish to stop, which the library looks at between chunks, and SIGXFSZ an error.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rezarr::Error;

/// Makes a file that grows beyond the limit of the process (RLIMIT_FSIZE) an error of the write: without this it is the end of the process, which
/// then cleans up nothing. A signal that is caught, be it by something that does nothing, is no longer deadly.
pub(crate) fn survive_size_limit() -> Result<(), Error> {
    let caught = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    caught.map(drop).map_err(|source| Error::Io { op: "catch signals", path: String::from("this process"), source })
}

/// A flag that the signals set. A second signal ends the process at once.
pub(crate) fn flag() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let result = signal_hook::flag::register_conditional_shutdown(signal, 7, Arc::clone(&flag))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)));
        result.map_err(|source| Error::Io { op: "catch signals", path: String::from("this process"), source })?;
    }
    Ok(flag)
}
