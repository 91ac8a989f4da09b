//! What the name of a flow log's object says, and days as folders have them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

/// A day in UTC as the number `YYYYMMDD`, which sorts as time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(u32);

/// What the name of a flow log's object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogName<'a> {
    /// `<account>_vpcflowlogs_<region>_<flow log id>`.
    pub flow_log: &'a str,
    /// `YYYYMMDDTHHmmZ`, which sorts as time does.
    pub time: &'a str,
}

impl Day {
    /// The day of a time.
    pub fn of(time: Timestamp) -> Self {
        Self::on(time.to_zoned(TimeZone::UTC).date())
    }

    /// Year, month and day as the folders of S3 have them: four, two and two digits.
    pub fn digits(self) -> (String, String, String) {
        let Self(number) = self;
        (
            format!("{:04}", number / 10_000),
            format!("{:02}", number / 100 % 100),
            format!("{:02}", number % 100),
        )
    }

    /// The day so many days earlier; a number that is no day stays as it is.
    pub fn before(self, days: i64) -> Self {
        let date = || {
            let (year, month, day) = self.digits();
            let date = Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
            Some(Self::on(date.checked_sub(days.days()).ok()?))
        };
        date().unwrap_or(self)
    }

    fn on(date: Date) -> Self {
        let number = i32::from(date.year()) * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
        Self(u32::try_from(number).unwrap_or(0))
    }

    /// The day of these digits, if they are eight.
    pub fn parse(digits: &str) -> Option<Self> {
        let is_day = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|_| is_day).map(Self)
    }
}

impl<'a> LogName<'a> {
    /// Reads a key whose file is named `<account>_vpcflowlogs_<region>_<flow log id>_<YYYYMMDDTHHmmZ>_<hash>.<ending>`.
    pub fn of(key: &'a str) -> Option<Self> {
        let (_, file) = key.rsplit_once('/').unwrap_or(("", key));
        let (rest, _hash) = file.rsplit_once('_')?;
        let (flow_log, time) = rest.rsplit_once('_')?;
        let digits = |from: usize, to: usize| {
            time.as_bytes().get(from..to).is_some_and(|digits| digits.iter().all(u8::is_ascii_digit))
        };
        let is_time = time.len() == 14
            && digits(0, 8)
            && digits(9, 13)
            && time.get(8..9) == Some("T")
            && time.ends_with('Z');
        (is_time && flow_log.contains("_vpcflowlogs_")).then_some(Self { flow_log, time })
    }

    /// The time in the name.
    pub fn timestamp(&self) -> Option<Timestamp> {
        let time = DateTime::strptime("%Y%m%dT%H%MZ", self.time).ok()?;
        Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

/// A time as names of objects have it: `YYYYMMDDTHHmmZ`.
pub fn name_time(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_whatever_the_layout() {
        for folder in ["AWSLogs/111111111111/vpcflowlogs/eu-west-3/2026/11/22/", "", "a_b/c_d/"] {
            let key =
                format!("{folder}111111111111_vpcflowlogs_eu-west-3_fl-0a_20261122T0005Z_4f2c.log.parquet");
            let name = LogName::of(&key).unwrap();
            assert_eq!(name.flow_log, "111111111111_vpcflowlogs_eu-west-3_fl-0a");
            assert_eq!(name.timestamp().unwrap().to_string(), "2026-11-22T00:05:00Z");
            assert_eq!(name_time(name.timestamp().unwrap()), name.time);
        }
        for key in
            ["", "a", "a_b_c", "a_vpcflowlogs_b_20261122T0005_c.gz", "a_b_20261122T0005Z_c.gz", "é_é_é"]
        {
            assert_eq!(LogName::of(key), None, "{key}");
        }
    }

    #[test]
    fn days_are_counted_back() {
        let day = |digits| Day::parse(digits).unwrap();
        assert_eq!(day("20260301").before(31), day("20260129"));
        assert_eq!(day("20261399").before(31), day("20261399"), "no day");
        assert_eq!(day("20261122").digits(), ("2026".to_owned(), "11".to_owned(), "22".to_owned()));
        assert_eq!(Day::of("2026-11-22T23:59:59Z".parse().unwrap()), day("20261122"));
    }
}
