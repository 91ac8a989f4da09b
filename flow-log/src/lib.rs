//! VPC Flow Logs as AWS writes them: an object's bytes into records, each as the JSON string that the intake gets.
//!
//! It knows neither S3 nor the platform. That makes it small enough to be optimised in every build, also in that of the
//! tests.

pub mod aggregate;
pub mod decode;
pub mod filter;
pub mod record;
