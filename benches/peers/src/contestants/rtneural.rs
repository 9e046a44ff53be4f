//! RTNeural: one sample at a time, with layers whose size is fixed at compile time. It has several backends;
//! each case is measured with the fastest one on this machine.

use std::path::PathBuf;
use std::time::Duration;

use libloading::{Library, Symbol};

use super::Contestant;
use crate::Result;
use crate::case::{Case, Cell, Parts, SAMPLES, What};

#[repr(C)]
struct Layer {
    opaque: [u8; 0],
}

type New =
    unsafe extern "C" fn(bool, usize, usize, *const f32, *const f32, *const f32, *const f32) -> *mut Layer;
type Run = unsafe extern "C" fn(*mut Layer, *const f32, usize, usize);
type Output = unsafe extern "C" fn(*const Layer) -> *const f32;
type Free = unsafe extern "C" fn(*mut Layer);

/// The number of calls to find out how fast a backend is.
const TRIAL: usize = 20_000;

pub struct RtNeural {
    /// Names and libraries.
    backends: Vec<(String, Library)>,
    /// The chosen backend, its layer and the samples. The layer is freed when another one is set up.
    ready: Option<(usize, *mut Layer, Vec<f32>)>,
}

impl RtNeural {
    /// Loads the libraries in the folder `PEERS_RTNEURAL_LIBRARIES`; there may be none.
    pub fn new() -> Result<RtNeural> {
        let mut backends = Vec::new();
        if let Some(folder) = std::env::var_os("PEERS_RTNEURAL_LIBRARIES") {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
            files.sort();
            for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "so")) {
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                // SAFETY: it is a library built by `rtneural/build`, whose initialisation does nothing.
                let library = unsafe { Library::new(file)? };
                backends.push((name.trim_start_matches("librtneural-").to_owned(), library));
            }
        }
        Ok(RtNeural { backends, ready: None })
    }

    fn make(&self, backend: usize, case: &Case) -> Result<*mut Layer> {
        let Parts { w_ih, w_hh, b_ih, b_hh } = case.parts();
        // SAFETY: the function of this name has this type, and the weights have the lengths that the cell and
        // the sizes require.
        unsafe {
            let new: Symbol<'_, New> = self.backends[backend].1.get(b"rtneural_new")?;
            let (lstm, input, hidden) = (case.cell == Cell::Lstm, case.input, case.hidden);
            Ok(new(lstm, input, hidden, w_ih.as_ptr(), w_hh.as_ptr(), b_ih.as_ptr(), b_hh.as_ptr()))
        }
    }

    fn time(&self, backend: usize, layer: *mut Layer, samples: &[f32], calls: usize) -> Result<Duration> {
        // SAFETY: the function of this name has this type, the layer belongs to this backend, and `samples`
        // holds that number of inputs.
        unsafe {
            let run: Symbol<'_, Run> = self.backends[backend].1.get(b"rtneural_run")?;
            super::time(1, || {
                run(layer, samples.as_ptr(), SAMPLES, calls);
                Ok(())
            })
        }
    }

    fn free(&self, backend: usize, layer: *mut Layer) -> Result<()> {
        // SAFETY: the function of this name has this type, the layer belongs to this backend, and it is not
        // used again.
        unsafe {
            let free: Symbol<'_, Free> = self.backends[backend].1.get(b"rtneural_free")?;
            free(layer);
        }
        Ok(())
    }
}

impl Contestant for RtNeural {
    fn name(&self) -> &'static str {
        "rtneural"
    }

    fn version(&self) -> String {
        let backend = self.ready.as_ref().map_or("", |(backend, ..)| &self.backends[*backend].0);
        format!("RTNeural 1.0.0 {backend}")
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if let Some((backend, layer, _)) = self.ready.take() {
            self.free(backend, layer)?;
        }
        if case.what != What::Step || case.cell == Cell::Rnn {
            return Ok(false);
        }
        let mut best: Option<(Duration, usize)> = None;
        for backend in 0..self.backends.len() {
            let layer = self.make(backend, case)?;
            if layer.is_null() {
                return Ok(false);
            }
            for _ in 0..5 {
                let time = self.time(backend, layer, &case.x, TRIAL)?;
                if best.is_none_or(|(least, _)| time < least) {
                    best = Some((time, backend));
                }
            }
            self.free(backend, layer)?;
        }
        let Some((_, backend)) = best else { return Ok(false) };
        self.ready = Some((backend, self.make(backend, case)?, case.x.clone()));
        Ok(true)
    }

    fn output(&mut self, case: &Case) -> Result<Vec<f32>> {
        self.run(1)?;
        let (backend, layer, _) = self.ready.as_ref().ok_or("not set up")?;
        // SAFETY: the function of this name has this type, the layer belongs to this backend, and it has that
        // number of outputs.
        unsafe {
            let output: Symbol<'_, Output> = self.backends[*backend].1.get(b"rtneural_output")?;
            Ok(std::slice::from_raw_parts(output(*layer), case.hidden).to_vec())
        }
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let (backend, layer, samples) = self.ready.as_ref().ok_or("not set up")?;
        self.time(*backend, *layer, samples, calls)
    }
}
