//! A playbook template, run as the platform runs it: the outputs of one node are what the arguments of the next are
//! written over, and each run of an action is a process of its own.

mod render;
mod runner;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use render::render;
pub use runner::{Run, Runner};

/// A template: nodes by id.
#[derive(Clone, Debug, Deserialize)]
pub struct Playbook {
    /// What the template is called.
    pub name: String,
    /// Its nodes by id.
    pub nodes: BTreeMap<String, Node>,
}

/// A step of a playbook.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// What the step is called.
    pub name: String,
    /// Whether it starts runs or is part of them.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The arguments; strings are Jinja templates.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// The nodes that follow, by the name of the output.
    #[serde(default)]
    pub outputs: BTreeMap<String, Vec<String>>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Starts runs.
    Trigger,
    /// Is started in a run.
    Action,
    /// Anything else the platform knows; not run here.
    #[serde(other)]
    Other,
}

/// A template that cannot be read or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("template {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a template.
    #[error("template {path}: {source}")]
    Parse {
        /// Which file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The template has no node of this kind.
    #[error("the template has no {0} node")]
    Missing(&'static str),
    /// An argument is not valid Jinja.
    #[error("argument {name}: {source}")]
    Render {
        /// Which argument.
        name: String,
        /// Why.
        source: minijinja::Error,
    },
}

impl Playbook {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let text = std::fs::read(path).map_err(|source| Error::Read { path: name(), source })?;
        serde_json::from_slice(&text).map_err(|source| Error::Parse { path: name(), source })
    }

    /// The trigger's id and node.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn trigger(&self) -> Result<(&str, &Node), Error> {
        self.first(Kind::Trigger).ok_or(Error::Missing("trigger"))
    }

    /// The id and node of the action that follows the trigger.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub fn action(&self) -> Result<(&str, &Node), Error> {
        let (_, trigger) = self.trigger()?;
        let next = trigger.outputs.values().flatten().find_map(|id| self.nodes.get_key_value(id));
        next.filter(|(_, node)| node.kind == Kind::Action)
            .map(|(id, node)| (id.as_str(), node))
            .ok_or(Error::Missing("action"))
    }

    /// Fills in an argument of a node, as its user does in the editor.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn set_argument(&mut self, node: &str, name: &str, value: impl Into<Value>) {
        let node = self.nodes.get_mut(node).expect("a node of the template");
        node.arguments.insert(name.to_owned(), value.into());
    }

    fn first(&self, kind: Kind) -> Option<(&str, &Node)> {
        self.nodes.iter().find(|(_, node)| node.kind == kind).map(|(id, node)| (id.as_str(), node))
    }
}
