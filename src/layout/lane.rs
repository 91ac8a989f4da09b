//! The folders that AWS puts flow logs into, and which keys are flow logs.
//!
//! A *lane* is the folder of one account and region. Its keys sort by day, so that one listing that starts at a day
//! finds all that is of that day or younger, whatever the number of flow logs.

use jiff::Timestamp;

use crate::layout::name::{Day, name_time};
use crate::s3::Object;

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
    /// folder of an organisation after `AWSLogs/`.
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

/// What a folder can hold, as its path tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It is a lane.
    Lane(Lane),
    /// Lanes, or folders that lead to some, in this folder: the folder itself, or of an account's the one of its flow
    /// logs.
    Lanes(String),
    /// Logs of another service.
    OtherLogs,
    /// Anything.
    Anything,
}

impl Holds {
    /// What the folder can hold.
    pub fn of(folder: &str) -> Self {
        if let Some(lane) = Lane::around(folder) {
            return Self::Lane(lane);
        }
        let Some(below) = below_aws_logs(folder).and_then(|start| folder.get(start..)) else {
            return Self::Anything;
        };
        let parts: Vec<&str> = below.split_terminator('/').collect();
        let is_service = |part: &&str| *part == SERVICE || *part == HIVE_SERVICE;
        let leads = match parts.iter().position(|part| is_account(part)) {
            Some(account) => match parts.get(account + 1) {
                None if account <= ABOVE_ACCOUNT => return Self::Lanes(flow_logs_of_account(folder)),
                None => false,
                Some(service) if is_service(service) => {
                    account <= ABOVE_ACCOUNT && parts.len() == account + 2
                }
                Some(service) if is_other(service) => return Self::OtherLogs,
                Some(_) => false,
            },
            // The folder of an organisation, or of an account that is named otherwise than accounts are.
            None => {
                parts.len() <= ABOVE_ACCOUNT || (parts.len() <= 3 && parts.last().is_some_and(is_service))
            }
        };
        if leads { Self::Lanes(folder.to_owned()) } else { Self::Anything }
    }
}

/// Whether the folder in that of an account is another service's. AWS names them by words.
fn is_other(folder: &str) -> bool {
    folder != SERVICE && folder != HIVE_SERVICE && folder.contains(|letter: char| letter.is_alphabetic())
}

/// Of an account's folder, the one of its flow logs.
fn flow_logs_of_account(folder: &str) -> String {
    let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let service = if name.starts_with(HIVE_ACCOUNT) { HIVE_SERVICE } else { SERVICE };
    format!("{folder}{service}/")
}

/// The folder `AWSLogs/` that a key lies in, if it is below `folder`.
pub fn aws_logs_below<'a>(key: &'a str, folder: &str) -> Option<&'a str> {
    let end = below_aws_logs(key).filter(|end| *end > folder.len())?;
    key.get(..end)
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

/// Whether an object is a flow log that lies in no lane.
pub fn is_loose_flow_log(object: &Object, prefix: &str) -> bool {
    object.body_bytes > 0 && Lane::around(&object.key).is_none() && is_flow_log(&object.key, prefix)
}

/// Whether a key is that of a flow log. What lies in another service's folder of an account is none. Below a prefix that
/// the user gave, a key in no layout of AWS counts as one too; elsewhere only what is named as AWS names flow logs.
pub fn is_flow_log(key: &str, prefix: &str) -> bool {
    let (folders, file) = key.rsplit_once('/').unwrap_or(("", key));
    if file.is_empty() {
        return false;
    }
    let is_named = file.contains("_vpcflowlogs_");
    let Some(below) = below_aws_logs(key).and_then(|start| folders.get(start..)) else {
        return is_named || (!prefix.is_empty() && below_aws_logs(key).is_none());
    };
    // <account>/<service>/… or aws-account-id=<account>/aws-service=<service>/…
    let mut parts = below.split('/').skip_while(|part| !is_account(part)).skip(1);
    match parts.next() {
        Some(service) if is_other(service) => false,
        Some(service) => is_named || service == SERVICE || service == HIVE_SERVICE,
        None => is_named || below.split('/').any(|part| part == SERVICE || part == HIVE_SERVICE),
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
        let between = "AWSLogs/a/b/111111111111/vpcflowlogs/eu-west-3/2026/11/22/renamed.gz".to_owned();
        let in_account = format!("AWSLogs/111111111111/{NAME}");
        for key in [default.as_str(), &hive, NAME, &format!("copied/{NAME}"), &between, &in_account] {
            assert!(is_flow_log(key, ""), "{key}");
        }
        for key in [
            "",
            "AWSLogs/",
            "AWSLogs/111111111111/vpcflowlogs/",
            "AWSLogs/111111111111/CloudTrail/eu-west-3/2026/11/22/111_CloudTrail_x.json.gz",
            "AWSLogs/111111111111/vpcdnsquerylogs/vpc-1/2026/11/22/1_vpcflowlogs_copied_too.log.gz",
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
    fn what_a_folder_can_hold_is_known_by_its_path() {
        let lanes = [
            ("AWSLogs/", "AWSLogs/"),
            ("x/AWSLogs/o-1/", "x/AWSLogs/o-1/"),
            ("AWSLogs/111111111111/", "AWSLogs/111111111111/vpcflowlogs/"),
            ("AWSLogs/o-1/111111111111/", "AWSLogs/o-1/111111111111/vpcflowlogs/"),
            ("x/AWSLogs/111111111111/vpcflowlogs/", "x/AWSLogs/111111111111/vpcflowlogs/"),
            ("AWSLogs/named/vpcflowlogs/", "AWSLogs/named/vpcflowlogs/"),
            (
                "AWSLogs/aws-account-id=111111111111/",
                "AWSLogs/aws-account-id=111111111111/aws-service=vpcflowlogs/",
            ),
        ];
        for (folder, below) in lanes {
            assert_eq!(Holds::of(folder), Holds::Lanes(below.to_owned()), "{folder}");
        }
        let lane = "AWSLogs/111111111111/vpcflowlogs/eu-west-3/";
        assert_eq!(Holds::of(lane), Holds::Lane(Lane::around(lane).unwrap()));
        for folder in [
            "AWSLogs/111111111111/CloudTrail/",
            "AWSLogs/o-1/111111111111/CloudTrail/eu-west-3/",
            "x/AWSLogs/aws-account-id=111111111111/aws-service=elb/",
        ] {
            assert_eq!(Holds::of(folder), Holds::OtherLogs, "{folder}");
        }
        for folder in ["a/", "awslogs/", "a/2026/11/22/", "AWSLogs/a/b/", "AWSLogs/a/b/111111111111/"] {
            assert_eq!(Holds::of(folder), Holds::Anything, "{folder}");
        }
        let key = "a/b/c/d/e/f/AWSLogs/111111111111/vpcflowlogs/eu-west-3/x";
        assert_eq!(aws_logs_below(key, "a/"), Some("a/b/c/d/e/f/AWSLogs/"));
        assert_eq!(aws_logs_below(key, "a/b/c/d/e/f/AWSLogs/"), None);
        assert_eq!(aws_logs_below("a/b", ""), None);
    }
}
