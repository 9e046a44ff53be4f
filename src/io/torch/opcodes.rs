//! The opcodes of a pickle, as in Python's `pickletools`.

use std::collections::HashMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::error::{Result, damaged};
use super::pickle::{FORMAT, Id, Node, Pickle};

/// The remaining bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.0.split_at_checked(n) {
            Some((taken, rest)) => {
                self.0 = rest;
                Ok(taken)
            }
            None => damaged(FORMAT, "its pickle ends early"),
        }
    }

    fn number(&mut self, bytes: usize) -> Result<usize> {
        let mut all = [0; 8];
        all[..bytes].copy_from_slice(self.take(bytes)?);
        Ok(usize::try_from(u64::from_le_bytes(all)).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a str> {
        let end = self.0.iter().position(|&b| b == b'\n').unwrap_or(self.0.len());
        let line = self.take(end)?;
        self.take(1)?;
        match core::str::from_utf8(line) {
            Ok(line) => Ok(line.trim_end_matches('\r')),
            Err(_) => damaged(FORMAT, "its pickle has a line that is not text"),
        }
    }
}

/// The state on which a pickle's opcodes work.
#[derive(Default)]
struct Machine {
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

/// Reads the pickle at the beginning of `bytes`. Returns it with the remaining bytes.
pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, &[u8])> {
    let limit = bytes.len() / 2 + 4096;
    let mut bytes = Bytes(bytes);
    let mut machine = Machine::default();
    loop {
        let op = bytes.take(1)?[0];
        if op == b'.' {
            let root = machine.pop()?;
            return Ok((Pickle::new(machine.nodes, root), bytes.0));
        }
        machine.step(op, &mut bytes)?;
        // Values of one byte each would take a hundred times the size of the file.
        if machine.nodes.len() > limit {
            return damaged(FORMAT, "its pickle creates more values than a file of parameters needs");
        }
    }
}

fn text(bytes: &[u8]) -> Node {
    Node::Text(String::from_utf8_lossy(bytes).into())
}

/// A signed number of any length. It becomes `Node::Other` if it does not fit.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Other;
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    Node::Int(i64::from_le_bytes(all))
}

impl Machine {
    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => damaged(FORMAT, "its pickle takes more than it has made"),
        }
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(id) => Ok(*id),
            None => damaged(FORMAT, "its pickle takes more than it has made"),
        }
    }

    /// Takes what has been made since the last mark.
    fn marked(&mut self) -> Result<Vec<Id>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => damaged(FORMAT, "its pickle has no mark where it needs one"),
        }
    }

    fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
        items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    }

    fn call(&mut self, of: Id, args: Id) {
        self.push(Node::Call { of, args, items: Vec::new(), state: None });
    }

    /// Appends to the list on top of the stack, of any class.
    fn append(&mut self, added: &[Id]) -> Result<()> {
        let top = self.top()?;
        if let Some(Node::List(items)) = self.nodes.get_mut(top) {
            items.extend(added);
        }
        Ok(())
    }

    /// Adds to the dictionary on top of the stack, of any class.
    fn set(&mut self, added: Vec<(Id, Id)>) -> Result<()> {
        let top = self.top()?;
        if let Some(Node::Dict(items) | Node::Call { items, .. }) = self.nodes.get_mut(top) {
            items.extend(added);
        }
        Ok(())
    }

    fn remember(&mut self, key: usize) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: usize) -> Result<()> {
        match self.memo.get(&key) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => damaged(FORMAT, format!("its pickle asks for value {key}, which it has not kept")),
        }
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let mut items = Vec::new();
        for _ in 0..n {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::List(items));
        Ok(())
    }

    /// Runs opcodes of the stack and of containers.
    fn step(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<()> {
        match op {
            // PROTO, FRAME
            0x80 => drop(bytes.take(1)?),
            0x95 => drop(bytes.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.marked()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b')' | b']' | 0x8f => self.push(Node::List(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.marked()?;
                self.push(Node::List(items));
            }
            0x85..=0x87 => self.tuple(usize::from(op - 0x84))?,
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.marked()?;
                self.append(&items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            b'd' => {
                let items = self.marked()?;
                self.push(Node::Dict(Self::pairs(&items)));
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set([(key, value)].into())?;
            }
            b'u' => {
                let items = self.marked()?;
                self.set(Self::pairs(&items))?;
            }
            _ => self.literal(op, bytes)?,
        }
        Ok(())
    }

    /// Runs opcodes of numbers, texts and bytes.
    fn literal(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<()> {
        match op {
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'I' => {
                let line = bytes.line()?;
                self.push(match line {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    number => number.parse().map_or(Node::Other, Node::Int),
                });
            }
            b'L' => {
                let line = bytes.line()?;
                self.push(line.trim_end_matches('L').parse().map_or(Node::Other, Node::Int));
            }
            b'J' => {
                let n = bytes.take(4)?;
                self.push(long(n));
            }
            b'K' => {
                let n = bytes.number(1)?;
                self.push(Node::Int(n as i64));
            }
            b'M' => {
                let n = bytes.number(2)?;
                self.push(Node::Int(n as i64));
            }
            // LONG1, LONG4
            0x8a | 0x8b => {
                let n = bytes.number(if op == 0x8a { 1 } else { 4 })?;
                let n = bytes.take(n)?;
                self.push(long(n));
            }
            b'F' => {
                bytes.line()?;
                self.push(Node::Other);
            }
            b'G' => {
                bytes.take(8)?;
                self.push(Node::Other);
            }
            b'S' | b'V' => {
                let line = bytes.line()?;
                let line = if op == b'S' { line.trim_matches(['\'', '"']) } else { line };
                self.push(text(line.as_bytes()));
            }
            // Texts, preceded by their length. From Python 2 they may be bytes.
            b'T' | b'U' | b'X' | 0x8c | 0x8d => {
                let n = bytes.number(match op {
                    b'T' | b'X' => 4,
                    0x8d => 8,
                    _ => 1,
                })?;
                let of = bytes.take(n)?;
                self.push(text(of));
            }
            // Bytes.
            b'B' | b'C' | 0x8e | 0x96 => {
                let n = bytes.number(match op {
                    b'B' => 4,
                    b'C' => 1,
                    _ => 8,
                })?;
                bytes.take(n)?;
                self.push(Node::Other);
            }
            _ => self.object(op, bytes)?,
        }
        Ok(())
    }

    /// Runs opcodes of classes and of the memo.
    fn object(&mut self, op: u8, bytes: &mut Bytes<'_>) -> Result<()> {
        match op {
            b'c' => {
                let (module, name) = (bytes.line()?, bytes.line()?);
                self.push(Node::Global(format!("{module} {name}").into()));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let word = |id: Id| match self.nodes.get(id) {
                    Some(Node::Text(text)) => text.to_string(),
                    _ => String::new(),
                };
                let global = Node::Global(format!("{} {}", word(module), word(name)).into());
                self.push(global);
            }
            // REDUCE, NEWOBJ: a class or function, and arguments.
            b'R' | 0x81 => {
                let (args, of) = (self.pop()?, self.pop()?);
                self.call(of, args);
            }
            0x92 => {
                let (_, args, of) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(of, args);
            }
            // INST, OBJ: older opcodes for the same.
            b'i' => {
                let (module, name) = (bytes.line()?, bytes.line()?);
                let args = self.marked()?;
                self.push(Node::Global(format!("{module} {name}").into()));
                self.push(Node::List(args));
                let (args, of) = (self.pop()?, self.pop()?);
                self.call(of, args);
            }
            b'o' => {
                let mut args = self.marked()?.into_iter();
                let Some(of) = args.next() else {
                    return damaged(FORMAT, "its pickle has an object of no class");
                };
                self.push(Node::List(args.collect()));
                let args = self.pop()?;
                self.call(of, args);
            }
            b'b' => {
                let (given, top) = (self.pop()?, self.top()?);
                if let Some(Node::Call { state, .. }) = self.nodes.get_mut(top) {
                    *state = Some(given);
                }
            }
            b'P' => {
                let line = text(bytes.line()?.as_bytes());
                self.push(line);
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            b'p' | b'g' => {
                let line = bytes.line()?;
                let Ok(key) = line.parse() else {
                    return damaged(FORMAT, "its pickle keeps a value under no number");
                };
                return if op == b'p' { self.remember(key) } else { self.recall(key) };
            }
            b'q' | b'r' => {
                let key = bytes.number(if op == b'q' { 1 } else { 4 })?;
                self.remember(key)?;
            }
            b'h' | b'j' => {
                let key = bytes.number(if op == b'h' { 1 } else { 4 })?;
                self.recall(key)?;
            }
            0x94 => {
                let key = self.memo.len();
                self.remember(key)?;
            }
            other => {
                return damaged(
                    FORMAT,
                    format!("its pickle has the opcode {other:#04x}, which is not known"),
                );
            }
        }
        Ok(())
    }
}
