//! Everything that speaks with the platform: the values it hands over, the storage it lends, the calls it answers.

pub mod callback;
pub mod error_reports;
pub mod failures;
pub mod health;
pub mod identity;
pub mod logs;
pub mod metrics;
pub mod ports;
pub mod rope;
pub mod secrets;
pub mod storage;
pub mod values;
pub mod wire;
