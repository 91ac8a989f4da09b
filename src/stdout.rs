//! What commands for a person print.

use std::io::Write as _;

/// Prints on stdout, at once. Whoever reads it may have gone away: that is no reason to fail.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
