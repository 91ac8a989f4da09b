//! Carries VPC Flow Logs from S3 to a Sekoia.io intake, as a module of the platform's playbooks.
//!
//! [`trigger`] finds new objects and starts a playbook run for each batch of their records; [`action`] sends such a
//! batch to the intake; [`validate`] proves the account. ARCHITECTURE.md tells how the parts fit together.

pub mod action;
pub mod config;
pub mod platform;
pub mod retry;
pub mod shutdown;
pub mod validate;
