//! Which fields go out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fields::field;

/// The fields that go out in JSON; all by default. Clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection(Option<Arc<BTreeSet<&'static str>>>);

impl Selection {
    /// Reads names of fields, whatever their case and separators; without any, all are wanted. The error names what is no
    /// field.
    pub fn parse(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let known = |name: &str| field(name).ok_or_else(|| format!("`{name}` is no field of flow logs"));
        let fields: BTreeSet<_> =
            names.into_iter().map(|name| known(name.as_ref().trim())).collect::<Result<_, _>>()?;
        Ok(Self((!fields.is_empty()).then(|| Arc::new(fields))))
    }

    /// Whether a field is wanted, by its name with dashes.
    pub fn wants(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|fields| fields.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_in_any_spelling() {
        let selection = Selection::parse(["srcaddr", " pkt_srcaddr ", "TCP-Flags", "account"]).unwrap();
        for wanted in ["srcaddr", "pkt-srcaddr", "tcp-flags", "account-id"] {
            assert!(selection.wants(wanted), "{wanted}");
        }
        for other in ["dstaddr", "account", "field-of-next-year"] {
            assert!(!selection.wants(other), "{other}");
        }
        let all = Selection::parse([""; 0]).unwrap();
        assert!(all == Selection::default() && all.wants("dstaddr") && all.wants("field-of-next-year"));
    }

    #[test]
    fn what_is_no_field_is_named() {
        for (name, problem) in [("colour", "`colour` is no field"), ("", "`` is no field")] {
            let said = Selection::parse(["srcaddr", name]).unwrap_err();
            assert!(said.contains(problem), "{said}");
        }
    }
}
