//! How long to wait before the next attempt, and the loop that tries until it works.

use std::time::Duration;

use crate::shutdown::{Shutdown, Stopped};

/// Tries until it works. `failed` is told of each failure, and gives the wait before the next attempt or the error to
/// end with. The shutdown signal cuts waits short, not attempts.
pub async fn until<T, E, G, F>(
    shutdown: &Shutdown,
    mut attempt: impl FnMut() -> F,
    mut failed: impl FnMut(E) -> Result<Duration, G>,
) -> Result<T, G>
where
    F: Future<Output = Result<T, E>>,
    G: From<Stopped>,
{
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => shutdown.sleep(failed(error)?).await?,
        }
    }
}

/// Waits that double from `first` up to `longest`. Each is cut by up to a half, at random: what failed together is not
/// tried again together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Starts at `first`, never exceeds `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, attempts: 0 }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let factor = 2_u32.saturating_pow(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.first.saturating_mul(factor).min(self.longest).mul_f64(1.0 - fastrand::f64() / 2.0)
    }

    /// How many waits there were.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Starts over: what was tried has worked.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut is_within = |longest: f64| {
            let wait = backoff.next_wait().as_secs_f64();
            assert!(wait > longest / 2.0 && wait <= longest, "{wait} of {longest}");
            wait
        };
        for longest in [1.0, 2.0, 4.0, 8.0] {
            is_within(longest);
        }
        let waits: std::collections::BTreeSet<u64> = (0..100).map(|_| is_within(10.0).to_bits()).collect();
        assert!(waits.len() > 10);
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_secs(1));
    }
}
