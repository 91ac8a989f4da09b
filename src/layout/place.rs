//! Where an object belongs: the folder of an account and region, and a day of it.

use crate::layout::lane::Lane;
use crate::layout::name::{Day, LogName};
use crate::s3::Object;

/// A folder and a day. What the object's own name says has no part in it: a listing goes by folders, and so does what is
/// remembered of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The folder of account and region; empty for what lies in none.
    pub folder: String,
    /// The day of the folder that the object lies in; where folders tell none, the day on which S3 took the object.
    pub day: Day,
}

impl Object {
    /// Where it belongs.
    pub fn place(&self) -> Place {
        Place::of(&self.key, Day::of(self.last_modified))
    }

    /// The flow log that wrote it, as [`flow_log()`] tells it.
    pub fn flow_log(&self) -> String {
        flow_log(&self.key)
    }
}

/// The flow log that a key names: the folder of account and region, where there is one, and
/// `<account>_vpcflowlogs_<region>_<flow log id>`: copies of a flow log in another folder are another one. Empty for a
/// key that does not tell.
pub fn flow_log(key: &str) -> String {
    let Some(name) = LogName::of(key) else { return String::new() };
    let mut flow_log = Lane::around(key).map_or_else(String::new, Lane::into_folder);
    flow_log.push_str(name.flow_log);
    flow_log
}

impl Place {
    /// Where the object of a key belongs that S3 took on the day `taken`.
    pub fn of(key: &str, taken: Day) -> Self {
        match Lane::around(key) {
            Some(lane) => Self { day: lane.day_of(key).unwrap_or(taken), folder: lane.into_folder() },
            None => Self { folder: String::new(), day: taken },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_folder_whatever_the_name_says() {
        let last_modified = "2026-11-22T23:59:59Z".parse().unwrap();
        let place = |key: &str| {
            let object = Object { key: key.to_owned(), body_bytes: 1, last_modified, etag: None };
            (object.place().folder, object.place().day)
        };
        let [lane, hive] = [
            "AWSLogs/111111111111/vpcflowlogs/eu-west-3/",
            "x/AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=us-east-1/",
        ];
        let name = "111111111111_vpcflowlogs_eu-west-3_fl-0a_20261101T0005Z_4f2c.log.gz";
        for (key, folder, day) in [
            (format!("{lane}2026/11/17/{name}"), lane, "20261117"),
            (format!("{lane}2026/11/17/08/copied.gz"), lane, "20261117"),
            (format!("{hive}year=2026/month=11/day=17/{name}"), hive, "20261117"),
            (format!("{lane}old/{name}"), lane, "20261122"),
            (format!("exported/{name}"), "", "20261122"),
            ("exported/part-1.gz".to_owned(), "", "20261122"),
        ] {
            assert_eq!(place(&key), (folder.to_owned(), Day::parse(day).unwrap()), "{key}");
        }
    }
}
