//! The intake: what a request to it is, and what its answers mean. The action and the intake sink share it.

use secrecy::{ExposeSecret as _, SecretString};

pub mod client;
pub mod split;

/// A body's size, in bytes before it is compressed, unless a single event is larger. The intake takes 10 MiB
/// (10,485,760); 4 MiB hold about 20,000 flow logs, more than a usual batch of the trigger, and the six buffers of the
/// action then stay within 24 MiB.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// Events in a body: bounds the answer, which has an ID of some 40 bytes for each.
pub const EVENTS_MAX: usize = 50_000;
/// The longest event that the platform's own SDK sends, in characters; here in bytes.
pub const EVENT_BYTES_MAX: usize = 250_000;
/// Requests in flight at the same time, as the platform's own module has them.
pub const SIDE_BY_SIDE: usize = 5;
/// What every body ends with.
pub const TAIL: &[u8] = b"]}";

/// What every body begins with: `{"intake_key":"…","jsons":[`. It carries the intake key: never print it.
pub fn head(intake_key: &SecretString) -> Vec<u8> {
    let key = serde_json::Value::from(intake_key.expose_secret());
    format!(r#"{{"intake_key":{key},"jsons":["#).into_bytes()
}
