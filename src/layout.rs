//! Which keys are flow logs, and where they lie in a bucket.

pub mod fingerprint;
pub mod lane;
pub mod name;
pub mod place;
pub mod walk;
