//! Carries VPC Flow Logs from S3 to a Sekoia.io intake, as a module of the platform's playbooks.
//!
//! [`trigger`] finds new objects and starts a playbook run for each batch of their records. ARCHITECTURE.md tells how
//! the parts fit together.

pub mod action;
pub mod check;
pub mod config;
pub mod context;
pub mod contract;
pub mod layout;
pub mod manifest;
pub mod pipeline;
pub mod platform;
pub mod reach;
pub mod retry;
pub mod s3;
pub mod shutdown;
pub mod sink;
pub mod source;
pub mod start;
pub mod stdout;
pub mod trigger;
pub mod validate;
