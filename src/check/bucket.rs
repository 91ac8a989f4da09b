//! The steps `region`, `list`, `newest` and `get`: whether the account may read the bucket, and what is there.

use bytes::Bytes;
use jiff::SignedDuration;

use super::account::Account;
use super::report::{Step, Told, counted};
use super::survey::{self, Survey, time_of};
use crate::config::TriggerConfiguration;
use crate::s3::{Bucket, Object, S3Error, S3Failure};

/// The start of an object that is read first: enough for the line that names the fields.
const START_BYTES: u64 = 64 * 1024;
/// AWS publishes every five minutes and is ten late. An object that is older than this shows that nothing comes.
const OLD: SignedDuration = SignedDuration::from_hours(1);

/// Folders that cannot be listed and are named.
const NAMED: usize = 3;

/// Puts a refusal of S3 into words. `denied` is what to do where a policy does not allow it.
pub(super) fn refused(error: &S3Error, denied: String) -> Told {
    let advice = match error.failure() {
        S3Failure::Denied => denied,
        S3Failure::Passing => "check again later: S3 was in trouble".to_owned(),
        S3Failure::Other => "look up what S3 answered".to_owned(),
        S3Failure::Gone | S3Failure::Changed => "check again: the object was changed meanwhile".to_owned(),
        failure => failure.advice(),
    };
    Told::failed(error.what(), advice).with("cause", error.failure().cause())
}

/// Asks in which region the bucket is.
pub(crate) async fn region(bucket: &Bucket, account: &Account) -> Step<()> {
    let list = "allow s3:ListBucket on the bucket to the account's user or role".to_owned();
    let configured = account.aws.region();
    match bucket.region().await.map_err(|error| refused(&error, list))? {
        Some(region) if region != configured => {
            let found = format!("the bucket {} is in {region}, the account says {configured}", bucket.name());
            let advice = format!("set the account's region to {region}");
            Err(Told::failed(found, advice).with("region", region))
        }
        Some(region) => {
            let found = format!("the bucket {} is there, in {region}", bucket.name());
            Ok((Told::ok(found).with("region", region), ()))
        }
        None => Ok((
            Told::ok(format!("the bucket {} is there; S3 does not say in which region", bucket.name())),
            (),
        )),
    }
}

/// Looks for the flow logs of the last hours, or of the last day that has some.
pub(super) async fn list(bucket: &Bucket, trigger: &TriggerConfiguration) -> Step<Survey> {
    let denied = format!(
        "allow s3:ListBucket on arn:aws:s3:::{} to the account's user or role, in IAM and, if the bucket is of another \
         account, in the bucket's policy",
        bucket.name()
    );
    let mistake = trigger.mistake().map(|mistake| Told::failed(mistake.to_string(), "correct the prefix"));
    let survey = match survey::survey(bucket, &trigger.prefix).await {
        Ok(survey) => survey,
        Err(error) if *error.failure() == S3Failure::Denied => {
            return Err(mistake.unwrap_or_else(|| refused(&error, denied)));
        }
        Err(error) => return Err(refused(&error, denied)),
    };
    if let Some(mistake) = mistake.filter(|_| survey.logs.is_empty() && survey.other.is_none()) {
        return Err(mistake);
    }
    let below = if trigger.prefix.is_empty() {
        "in the bucket".to_owned()
    } else {
        format!("below {}", trigger.prefix)
    };
    let objects: u64 = survey.logs.values().map(|log| log.objects).sum();
    let mut told = if objects == 0 {
        let advice = if survey.has_more_folders {
            "set the prefix to the folder that holds AWSLogs/, or the flow logs: there is more below this one than was \
             looked through"
        } else {
            "look whether the flow log is active and delivers to this bucket (AWS needs some 10 minutes), and whether \
             the prefix is right"
        };
        let other = survey.other.as_ref().map(|other| format!("; there are other things, such as {other}"));
        Told::warning(
            format!("allowed, but there is no flow log {below}{}", other.unwrap_or_default()),
            advice,
        )
    } else {
        let since = survey.since.map(|day| {
            let (year, month, date) = day.digits();
            format!(" since {year}-{month}-{date}")
        });
        let least = if survey.is_cut { "at least " } else { "" };
        let folders = match (survey.lanes, survey.looked) {
            _ if survey.loose.is_some() => String::new(),
            (1, _) => " in 1 folder of account and region".to_owned(),
            (lanes, looked) if looked < lanes => {
                let least = if survey.has_more_folders { "at least " } else { "" };
                format!(" in {looked} of {least}{lanes} folders of account and region")
            }
            (lanes, _) => format!(" in {lanes} folders of account and region"),
        };
        let found = counted(objects, "object");
        Told::ok(format!("allowed; {least}{found} {below}{}{folders}", since.unwrap_or_default()))
    };
    if let Some(reason) = &survey.loose {
        let advice = "set a prefix whose flow logs are in the folders that AWS puts them into, or accept that every \
                      poll lists everything";
        told = told.but(reason, advice);
    }
    for (folder, error) in survey.refused.iter().take(NAMED) {
        let advice = format!(
            "allow s3:ListBucket on arn:aws:s3:::{} with the prefix {folder}* to the account's user or role, or set a prefix \
             that leaves it out",
            bucket.name()
        );
        told = told.but(format!("what is in {folder} is not delivered: {}", error.what()), advice);
    }
    let told = told.with("looked_into", survey.looked).with("refused", survey.refused.len());
    let told =
        told.with("objects", objects).with("folders", survey.lanes).with("is_complete", !survey.is_cut);
    Ok((told.with("calls", survey.calls), survey))
}

/// Names the newest object and its age.
pub(super) fn newest(bucket: &Bucket, survey: &Survey) -> Step<Object> {
    let all = survey.logs.values().map(|log| &log.newest);
    let Some(newest) = all.max_by_key(|object| (object.last_modified, time_of(object))) else {
        return Err(Told::skipped("there is no object"));
    };
    let age = bucket.now().duration_since(newest.last_modified).max(SignedDuration::ZERO);
    let mut found = format!("{} old: {} ({} bytes)", in_words(age), newest.key, newest.body_bytes);
    // What was not listed may be newer.
    let is_last = !survey.is_cut;
    if !is_last {
        found.push_str(", of those that were listed, which are not all");
    }
    let told = if age > OLD && is_last {
        let advice =
            "look whether the flow log is still active; AWS publishes every 5 minutes if there is traffic";
        Told::warning(found, advice)
    } else {
        Told::ok(found)
    };
    let told = told.with("key", newest.key.as_str()).with("bytes", newest.body_bytes);
    let told = told.with("last_modified", newest.last_modified.to_string()).with("age_s", age.as_secs());
    Ok((told, newest.clone()))
}

/// Reads the start of the newest object.
pub(super) async fn get(bucket: &Bucket, object: Object) -> Step<(Object, Bytes)> {
    let denied = format!(
        "allow s3:GetObject on arn:aws:s3:::{}/* to the account's user or role, in IAM and, if the bucket is of another \
         account, in the bucket's policy",
        bucket.name()
    );
    let length = object.body_bytes.min(START_BYTES);
    let start = bucket.read_whole(&object, 0, length).await.map_err(|error| refused(&error, denied))?;
    let told = Told::ok(format!("allowed, and decrypted if it is encrypted; {} bytes read", start.len()));
    Ok((told, (object, start)))
}

/// A duration in its one or two largest units, e.g. `3 h 20 min`.
fn in_words(age: SignedDuration) -> String {
    let (days, hours, minutes) = (age.as_hours() / 24, age.as_hours() % 24, age.as_mins() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", age.as_secs()),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
