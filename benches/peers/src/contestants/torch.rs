//! PyTorch, in a child process. Pipes start its turns, and it measures itself.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Contestant;
use crate::Result;
use crate::case::{Case, What};

pub struct Torch {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
    /// The folder of the files of raw f32 that exchange weights, inputs and outputs.
    folder: PathBuf,
}

impl Torch {
    pub fn new(threads: usize) -> Result<Torch> {
        let python = std::env::var("PEERS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let folder = PathBuf::from(std::env::var("PEERS_EXCHANGE").map_err(|_| "PEERS_EXCHANGE: a folder")?);
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/torch_peer.py"))
            .arg(&folder)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().ok_or("no stdin")?;
        let mut answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let version = answer(&mut answers)?;
        Ok(Torch { child, requests, answers, version, folder })
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        writeln!(self.requests, "{request}")?;
        answer(&mut self.answers)
    }
}

fn answer(from: &mut BufReader<ChildStdout>) -> Result<String> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err("the PyTorch process has ended".into());
    }
    Ok(line.trim().to_owned())
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = writeln!(self.requests, "end");
        let _ = self.child.wait();
    }
}

impl Contestant for Torch {
    fn name(&self) -> &'static str {
        "torch"
    }

    fn version(&self) -> String {
        format!("torch {}", self.version)
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what == What::Step {
            return Ok(false);
        }
        for (name, data) in [("weights", &case.weights), ("x", &case.x), ("dy", &case.dy)] {
            fs::write(
                self.folder.join(name),
                data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>(),
            )?;
        }
        let Case { what, cell, batch, steps, input, hidden, .. } = case;
        self.ask(&format!("{what} {cell} {batch} {steps} {input} {hidden}"))?;
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> Result<Vec<f32>> {
        let bytes = fs::read(self.folder.join("out"))?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        Ok(Duration::from_nanos(self.ask(&format!("run {calls}"))?.parse()?))
    }
}
