//! The name and the attributes of a node.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::error::{Result, unsupported};
use super::schema::{Attribute, Node};

/// A node for error messages.
pub(super) fn show(node: &Node) -> String {
    let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
    format!("{} node `{}`", node.op_type, name.map_or("", |name| name))
}

/// The attributes of a node. Attributes that are never read are rejected.
pub(super) struct Attributes<'a> {
    node: &'a Node,
    asked: Vec<&'static str>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(node: &'a Node) -> Self {
        Attributes { node, asked: Vec::new() }
    }

    pub(super) fn get(&mut self, name: &'static str) -> Option<&'a Attribute> {
        self.asked.push(name);
        self.node.attribute.iter().find(|a| a.name == name)
    }

    pub(super) fn int(&mut self, name: &'static str, default: i64) -> i64 {
        self.get(name).map_or(default, |a| a.i)
    }

    pub(super) fn float(&mut self, name: &'static str) -> Option<f32> {
        self.get(name).map(|a| a.f)
    }

    pub(super) fn finish(self) -> Result<()> {
        let known = |a: &&Attribute| self.asked.contains(&&a.name[..]);
        match self.node.attribute.iter().find(|a| !known(a)) {
            Some(a) => {
                unsupported(format!("attribute `{}` of the {}", a.name, show(self.node)), "is not known")
            }
            None => Ok(()),
        }
    }
}
