//! Days and times of day as text.

use std::fmt::Write as _;

use super::NotWritable;
use super::types::Unit;

/// The seconds of a day.
pub(super) const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A day after 1970, as ISO 8601 has it
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
pub(super) fn date(day: i64) -> std::result::Result<String, NotWritable> {
    // The days of the years 0 to 9999.
    if !(-719_528..=2_932_896).contains(&day) {
        return Err(NotWritable);
    }
    // Eras of 400 years, which begin in March.
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    Ok(format!("{year:04}-{month:02}-{day:02}"))
}

/// A time of day: seconds, and what is above them.
pub(super) fn clock(seconds: i64, rest: i64, unit: Unit) -> std::result::Result<String, NotWritable> {
    if !(0..DAY_SECONDS).contains(&seconds) {
        return Err(NotWritable);
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if rest != 0 {
        let digits = unit.per_second().ilog10() as usize;
        // Writing into a string cannot fail.
        let _ = write!(time, ".{rest:0digits$}");
        time.truncate(time.trim_end_matches('0').len());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_those_of_the_calendar() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (20_779, "2026-11-22"),
            (-719_528, "0000-01-01"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(date(day).unwrap(), expected);
        }
        assert!(date(2_932_897).is_err() && date(-719_529).is_err() && date(i64::MAX).is_err());
        assert_eq!(clock(300, 0, Unit::Micros).unwrap(), "00:05:00");
        assert_eq!(clock(86_399, 120_000_000, Unit::Nanos).unwrap(), "23:59:59.12");
        assert_eq!(clock(0, 7, Unit::Millis).unwrap(), "00:00:00.007");
        assert!(clock(86_400, 0, Unit::Millis).is_err() && clock(-1, 0, Unit::Millis).is_err());
    }
}
