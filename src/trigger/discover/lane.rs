//! The folders that AWS puts flow logs into, and which keys are flow logs.
//!
//! A *lane* is the folder of one account and region. Its keys sort by day, so that one listing that starts at a day
//! finds all that is of that day or younger, whatever the number of flow logs.

use jiff::Timestamp;

use super::super::place::{Day, LogName, name_time};

/// The folder of an account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// The folder with its `/`.
    folder: String,
    is_hive: bool,
}

impl Lane {
    /// The lane that a key or a prefix lies in, if it names account and region to the end:
    /// `AWSLogs/<account>/vpcflowlogs/<region>/`, the same with names and `=` before the values, and either also with the
    /// folder of an organisation behind `AWSLogs/`.
    pub fn around(path: &str) -> Option<Self> {
        let mut length = below_aws_logs(path)?;
        let mut parts = path.get(length..)?.split('/').peekable();
        for _ in 0..=ABOVE_ACCOUNT {
            let account = parts.next()?;
            length += account.len() + 1;
            let is_hive = account.starts_with(HIVE_ACCOUNT);
            let service = if is_hive { HIVE_SERVICE } else { SERVICE };
            if account.is_empty() || account == HIVE_ACCOUNT || parts.peek() != Some(&service) {
                continue;
            }
            let region = parts.nth(1)?;
            parts.next()?;
            let is_named = if is_hive {
                region.strip_prefix("aws-region=").is_some_and(|region| !region.is_empty())
            } else {
                !region.is_empty()
            };
            length += service.len() + region.len() + 2;
            return path
                .get(..length)
                .filter(|_| is_named)
                .map(|folder| Self { folder: folder.to_owned(), is_hive });
        }
        None
    }

    /// The folder with its `/`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The folder with its `/`.
    pub fn into_folder(self) -> String {
        self.folder
    }

    /// The folder of a day.
    pub fn day_folder(&self, day: Day) -> String {
        let (year, month, date) = day.digits();
        if self.is_hive {
            format!("{}year={year}/month={month}/day={date}/", self.folder)
        } else {
            format!("{}{year}/{month}/{date}/", self.folder)
        }
    }

    /// The folder of the hour that a time lies in.
    pub fn hour_folder(&self, time: Timestamp) -> String {
        let hour = time.strftime(if self.is_hive { "hour=%H/" } else { "%H/" });
        format!("{}{hour}", self.day_folder(Day::of(time)))
    }

    /// Before the first object of a flow log of a time, where a day has no hours.
    pub fn position(&self, flow_log: &str, time: Timestamp) -> String {
        format!("{}{flow_log}_{}", self.day_folder(Day::of(time)), name_time(time))
    }

    /// Whether a key lies in the folder of an hour.
    pub fn is_hourly(&self, key: &str) -> bool {
        // Year, month, day, hour, file.
        key.strip_prefix(&self.folder).is_some_and(|path| path.split('/').count() == 5)
    }

    /// The day that a key lies in.
    pub fn day_of(&self, key: &str) -> Option<Day> {
        let mut parts = key.strip_prefix(&self.folder)?.split('/');
        let mut next = |name: &str| {
            let part = parts.next()?;
            if self.is_hive { part.strip_prefix(name) } else { Some(part) }
        };
        Day::parse(&format!("{}{}{}", next("year=")?, next("month=")?, next("day=")?))
    }
}

/// Whether there may be lanes below a folder: above an account anywhere, below it only in the folder of flow logs.
pub fn leads_to_lanes(folder: &str) -> bool {
    let Some(below) = below_aws_logs(folder).and_then(|start| folder.get(start..)) else { return true };
    let mut parts = below.split('/').skip_while(|part| !is_account(part)).skip(1);
    match parts.next() {
        None | Some("") => below.matches('/').count() <= ABOVE_ACCOUNT + 1,
        Some(service) => service == SERVICE || service == HIVE_SERVICE,
    }
}

/// Of an account's folder, the one of its flow logs: what else it holds need not be listed. Other folders stay.
pub fn flow_logs_of_account(folder: String) -> String {
    let name = folder.strip_suffix('/').and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    if below_aws_logs(&folder).is_none() || !is_account(name) {
        return folder;
    }
    let service = if name.starts_with(HIVE_ACCOUNT) { HIVE_SERVICE } else { SERVICE };
    folder + service + "/"
}

/// Folders between `AWSLogs/` and that of an account: none, or that of an organisation.
const ABOVE_ACCOUNT: usize = 1;
const SERVICE: &str = "vpcflowlogs";
const HIVE_SERVICE: &str = "aws-service=vpcflowlogs";
const HIVE_ACCOUNT: &str = "aws-account-id=";

/// Where the path below `AWSLogs/` begins.
fn below_aws_logs(path: &str) -> Option<usize> {
    const FOLDER: &str = "AWSLogs/";
    let start = if path.starts_with(FOLDER) { 0 } else { path.find("/AWSLogs/")? + 1 };
    Some(start + FOLDER.len())
}

fn is_account(folder: &str) -> bool {
    let number = folder.strip_prefix(HIVE_ACCOUNT).unwrap_or(folder);
    number.len() == 12 && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether a key is that of a flow log. Below a prefix that the user gave, a key in no layout of AWS counts as one too;
/// in a whole bucket only what is named as AWS names flow logs.
pub fn is_flow_log(key: &str, prefix: &str) -> bool {
    let (folders, file) = key.rsplit_once('/').unwrap_or(("", key));
    if file.is_empty() {
        return false;
    }
    if file.contains("_vpcflowlogs_") || LogName::of(key).is_some() {
        return true;
    }
    // AWSLogs/<account>/<service>/… or AWSLogs/aws-account-id=<account>/aws-service=<service>/…
    let mut below = folders.split('/').skip_while(|folder| *folder != "AWSLogs").skip(2);
    let service = below.next().map(|service| service.strip_prefix("aws-service=").unwrap_or(service));
    match service {
        Some(service) => service == "vpcflowlogs",
        None => !prefix.is_empty() && !folders.split('/').any(|folder| folder == "AWSLogs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "111111111111_vpcflowlogs_eu-west-3_fl-0a1b_20261122T0005Z_abcd.log.gz";

    #[test]
    fn lanes_are_known_in_both_layouts_below_any_folder() {
        let day = Day::parse("20261122").unwrap();
        for above in ["", "central/", "a/b/c/"] {
            let plain = format!("{above}AWSLogs/111111111111/vpcflowlogs/eu-west-3/");
            let lane = Lane::around(&format!("{plain}2026/11/22/{NAME}")).unwrap();
            assert_eq!(lane.folder(), plain);
            assert_eq!(lane, Lane::around(&plain).unwrap());
            assert_eq!(lane.day_folder(day), format!("{plain}2026/11/22/"));
            assert_eq!(lane.day_of(&format!("{plain}2026/11/22/{NAME}")), Some(day));
            assert!(lane.is_hourly(&format!("{plain}2026/11/22/05/{NAME}")));
            assert!(!lane.is_hourly(&format!("{plain}2026/11/22/{NAME}")));
            let hive =
                format!("{above}AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=us-east-1/");
            let lane = Lane::around(&format!("{hive}year=2026/month=11/day=22/hour=05/{NAME}")).unwrap();
            assert_eq!(lane.folder(), hive);
            assert_eq!(lane.day_folder(day), format!("{hive}year=2026/month=11/day=22/"));
            assert_eq!(lane.day_of(&format!("{hive}year=2026/month=11/day=22/hour=05/{NAME}")), Some(day));
        }
        for path in [
            "",
            "AWSLogs/",
            "AWSLogs/1/vpcflowlogs/",
            "AWSLogs/1/vpcflowlogs/eu-west",
            "AWSLogs/1/elb/r/x",
            NAME,
        ] {
            assert_eq!(Lane::around(path), None, "{path}");
        }
    }

    #[test]
    fn flow_logs_are_told_from_other_objects() {
        let default = format!("AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/{NAME}");
        let hive =
            format!("x/AWSLogs/aws-account-id=1/aws-service=vpcflowlogs/aws-region=r/year=2026/{NAME}");
        for key in [default.as_str(), &hive, NAME, &format!("copied/{NAME}")] {
            assert!(is_flow_log(key, ""), "{key}");
        }
        for key in [
            "",
            "AWSLogs/",
            "AWSLogs/111111111111/vpcflowlogs/",
            "AWSLogs/111111111111/CloudTrail/eu-west-3/2026/11/22/111_CloudTrail_x.json.gz",
            "AWSLogs/111111111111/elasticloadbalancing/r/x.log.gz",
            "AWSLogs/aws-account-id=1/aws-service=cloudtrail/x.gz",
            "AWSLogs/readme.txt",
        ] {
            assert!(!is_flow_log(key, "") && !is_flow_log(key, "AWSLogs/"), "{key}");
        }
        assert!(is_flow_log("exported/part-0001.gz", "exported/"));
        assert!(!is_flow_log("exported/part-0001.gz", ""));
    }

    #[test]
    fn only_folders_of_flow_logs_are_walked_into() {
        for folder in [
            "",
            "a/",
            "AWSLogs/",
            "AWSLogs/111111111111/",
            "x/AWSLogs/111111111111/vpcflowlogs/",
            "AWSLogs/aws-account-id=111111111111/aws-service=vpcflowlogs/",
        ] {
            assert!(leads_to_lanes(folder), "{folder}");
        }
        for folder in [
            "AWSLogs/111111111111/CloudTrail/",
            "AWSLogs/o-1/111111111111/CloudTrail/",
            "AWSLogs/a/b/c/",
            "x/AWSLogs/aws-account-id=111111111111/aws-service=elb/",
        ] {
            assert!(!leads_to_lanes(folder), "{folder}");
        }
    }
}
