//! Carries VPC Flow Logs from S3 to a Sekoia.io intake, as a module of the platform's playbooks.
//!
//! [`connector`] finds new objects and sends their records to an intake; [`trigger`] starts a playbook run for each batch of
//! them, whose [`action`] does. ARCHITECTURE.md tells how the parts fit together.

pub mod action;
pub mod aws;
pub mod backfill;
pub mod check;
pub mod config;
pub mod connector;
pub mod context;
pub mod contract;
pub mod gzip;
pub mod http;
pub mod intake;
pub mod layout;
pub mod manifest;
pub mod observe;
pub mod pipeline;
pub mod platform;
pub mod queued;
pub mod retry;
pub mod s3;
pub mod shutdown;
pub mod sink;
pub mod source;
pub mod sqs;
pub mod start;
pub mod stdout;
pub mod trigger;
pub mod validate;
