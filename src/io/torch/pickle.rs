//! A pickle, read without running any of it: a call becomes a value that describes the call.
//!
//! No crate is used for this. Those that read checkpoints only open paths, forget the order of parameters and
//! what modules say about themselves, and copy shared values, which makes gigabytes of a small file. Here a
//! value is a number, all values are in one list, and an opcode adds at most one node.

use std::rc::Rc;
use std::vec::Vec;

pub(super) const FORMAT: &str = "PyTorch checkpoint";

/// The number of a value in its [`Pickle`].
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A value that no parameter is made of: a float, bytes, a number that is too large.
    Other,
    None,
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
    /// A tuple, list or set.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by module and name.
    Global(Rc<str>),
    /// The result of calling a class or function with arguments. Items and state are added later.
    Call {
        of: Id,
        args: Id,
        items: Vec<(Id, Id)>,
        state: Option<Id>,
    },
    /// A value that the container of the pickle holds.
    Persistent(Id),
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    pub(super) fn new(nodes: Vec<Node>, root: Id) -> Self {
        Pickle { nodes, root }
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Other)
    }

    /// The ids of all values.
    pub(super) fn ids(&self) -> core::ops::Range<Id> {
        0..self.nodes.len()
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn size(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(n) => usize::try_from(*n).ok(),
            Node::Bool(flag) => Some(usize::from(*flag)),
            _ => None,
        }
    }

    pub(super) fn list(&self, id: Id) -> &[Id] {
        match self.node(id) {
            Node::List(items) => items,
            _ => &[],
        }
    }

    /// Module and name of a class or function. Persistent ones are classes whose source is in the file.
    pub(super) fn global(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Global(name) => Some(name),
            Node::Persistent(of) => match self.list(*of) {
                [kind, class, ..] if self.text(*kind) == Some("module") => match self.node(*class) {
                    Node::Global(name) => Some(name),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// The entries of a dictionary, of any class.
    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(entries) => Some(entries),
            Node::Call { of, items, .. }
                if self.global(*of).is_some_and(|name| name.ends_with("Dict") || name.ends_with(" dict")) =>
            {
                Some(items)
            }
            _ => None,
        }
    }

    /// The value under a key.
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let found = self.entries(id)?.iter().rev().find(|(k, _)| self.text(*k) == Some(key));
        found.map(|(_, value)| *value)
    }
}
