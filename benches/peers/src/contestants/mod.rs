//! One file per library.

use crate::Result;
pub use crate::turn::Contestant;
use crate::turn::{sample, time};

mod burn;
mod candle;
mod nexus;
mod onnxruntime;
mod openvino;
mod ours;
mod rtneural;
mod torch;
mod tract;

/// All contestants, or with several threads those that support them. The outputs of the others are compared
/// with the first one.
pub fn all(threads: usize) -> Result<Vec<Box<dyn Contestant>>> {
    let mut all: Vec<Box<dyn Contestant>> = vec![
        Box::new(ours::Ours::new(threads)?),
        Box::new(onnxruntime::OnnxRuntime::new(threads)?),
        Box::new(openvino::OpenVino::new(threads)?),
        Box::new(torch::Torch::new(threads)?),
    ];
    if threads == 1 {
        all.push(Box::new(tract::Tract::default()));
        all.push(Box::new(nexus::Nexus::default()));
        all.push(Box::new(rtneural::RtNeural::new()?));
        all.push(Box::new(candle::Candle::default()));
        all.push(Box::new(burn::Burn::default()));
    }
    Ok(all)
}
