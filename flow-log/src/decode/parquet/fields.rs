//! Which of a file's columns are fields of flow logs, and whether it is a flow log at all.

use std::collections::HashSet;

use super::footer::{Described, Values};
use crate::decode::ObjectError;
use crate::record::fields::field;

/// A column whose values may be sent, and the name that they are sent under.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub(super) name: String,
    pub(super) values: Values,
    /// Whether they are sent.
    pub(super) is_sent: bool,
}

impl Naming {
    /// The name with dashes.
    pub(super) fn dashed(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// Fields that other logs have as well: alone, they make no flow log.
const COMMON: &[&str] = &[
    "version",
    "account-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "type",
    "region",
    "vpc-id",
    "subnet-id",
    "instance-id",
    "az-id",
    "resource-type",
    "resource-id",
];
/// What the groups and columns of OCSF are named, of which a file of Security Lake has nearly all.
const OCSF: &[&str] = &["metadata", "class_uid", "category_uid", "type_uid", "src_endpoint", "dst_endpoint"];
/// Columns that are named where a file is no flow log.
const SHOWN: usize = 8;
/// Letters of a name that are shown.
const SHOWN_LETTERS: usize = 40;

/// The columns that may be sent, in the file's order, or what the file is if it is no flow log.
///
/// It is one if a column at the top is a field that no other log has, or if it has the addresses of both ends, or if all
/// its columns are fields. What lies in a group does not count: there, a name says nothing.
pub(super) fn named(columns: &[Described]) -> Result<Vec<Naming>, ObjectError> {
    let sent: Vec<(&str, Values)> =
        columns.iter().filter_map(|column| Some((column.name.as_str(), column.values?))).collect();
    let fields: Vec<Option<&str>> = sent.iter().map(|(name, _)| field(name)).collect();
    let has = |wanted: &[&str]| fields.iter().flatten().any(|field| wanted.contains(field));
    let is_flow_log = fields.iter().flatten().any(|field| !COMMON.contains(field))
        || has(&["srcaddr", "pkt-srcaddr"]) && has(&["dstaddr", "pkt-dstaddr"])
        || !fields.is_empty() && fields.iter().all(Option::is_some);
    let of_ocsf = columns.iter().filter(|column| OCSF.contains(&column.name.as_str())).count();
    if of_ocsf >= OCSF.len() / 2 {
        return Err(ObjectError::Ocsf);
    }
    if !is_flow_log {
        return Err(ObjectError::OtherColumns { columns: shown(columns) });
    }
    let (mut named, mut names) = (Vec::with_capacity(sent.len()), HashSet::new());
    for ((name, values), field) in sent.iter().zip(&fields) {
        // A column that bears the field's own name comes before one that is known by another.
        let is_own = |name: &str| field.is_some_and(|field| name.replace('_', "-") == *field);
        let has_better = sent.iter().any(|(other, _)| is_own(other)) && !is_own(name);
        let wanted =
            field.filter(|_| !has_better).map_or_else(|| (*name).to_owned(), |field| field.replace('-', "_"));
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let mut free = std::iter::once(wanted.clone()).chain(numbered);
        let name = free.find(|name| names.insert(name.clone()));
        named.extend(name.map(|name| Naming { name, values: *values, is_sent: true }));
    }
    Ok(named)
}

/// Some of the columns, as they are named.
fn shown(columns: &[Described]) -> String {
    let letters = |column: &Described| column.name.chars().take(SHOWN_LETTERS).collect::<String>();
    let mut shown = columns.iter().take(SHOWN).map(letters).collect::<Vec<_>>().join(", ");
    if columns.len() > SHOWN {
        shown += ", …";
    }
    if shown.is_empty() { "none".to_owned() } else { shown.escape_debug().to_string() }
}
