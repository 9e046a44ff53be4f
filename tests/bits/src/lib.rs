//! Trains every cell and runs its inference on fixed pseudo-random data, and reduces all bits of the results
//! to a checksum.
//!
//! The program prints the checksums. A WebAssembly module cannot print, so it exports the text. Every machine
//! has to produce the contents of `checksums.txt`.
#![cfg_attr(any(target_arch = "wasm32", target_os = "none"), no_std)]

mod around;
pub mod counts;
mod narrow;
mod options;

use core::fmt::{self, Write};

use recurrent::{
    Activation, Backward, Forward, ForwardTrain, Gradients, Gru, Isa, Lstm, Mgu, Reset, Result, Rnn,
    Sequences,
};

/// Cells; the index is the cell's number.
const CELLS: [&str; 6] = ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before", "mgu"];

/// Input, hidden, steps, batch: sizes around the lanes and panels of every instruction set.
const SIZES: [[usize; 4]; 6] =
    [[1, 1, 3, 1], [3, 7, 5, 2], [5, 17, 4, 3], [16, 33, 9, 5], [7, 48, 3, 13], [2, 100, 2, 34]];

/// Elements that the buffers of the largest size need together.
pub const ROOM: usize = 300_000;

/// FNV-1a of the bits. All NaNs count as the same value.
#[derive(Clone, Copy)]
struct Sum(u64);

impl Sum {
    const NEW: Sum = Sum(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, x: &[f32]) {
        for x in x {
            let bits = if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
            for byte in bits.to_le_bytes() {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
    }
}

/// Writes a line for each cell, size and instruction set: these three, the rounding, the checksum. `room` has
/// `ROOM` elements.
pub fn report(out: &mut impl Write, room: &mut [f32]) -> fmt::Result {
    for (cell, name) in CELLS.iter().enumerate() {
        for [i, h, t, b] in SIZES {
            for isa in Isa::available() {
                line(out, name, [i, h, t, b], isa, checksum(cell, [i, h, t, b], isa, room))?;
            }
        }
    }
    options::report(out, room)?;
    around::report(out, room)?;
    narrow::report(out, room)
}

fn line(
    out: &mut impl Write,
    name: &str,
    [i, h, t, b]: [usize; 4],
    isa: Isa,
    sum: Result<u64>,
) -> fmt::Result {
    let rounding = if isa.is_fused() { "fused" } else { "separate" };
    let sum = sum.map_err(|_| fmt::Error)?;
    writeln!(out, "{name} {i}x{h}x{t}x{b} {rounding} {sum:016x} {}", isa.name())
}

fn checksum(
    cell: usize,
    [input, hidden, steps, batch]: [usize; 4],
    isa: Isa,
    room: &mut [f32],
) -> Result<u64> {
    let sizes = (steps, batch);
    match cell {
        0 => rnn(Rnn::new(input, hidden).on(isa), sizes, room),
        1 => rnn(Rnn::new(input, hidden).activation(Activation::Relu).on(isa), sizes, room),
        2 => lstm(Lstm::new(input, hidden).on(isa), sizes, room),
        3 => gru(Gru::new(input, hidden).on(isa), sizes, room),
        4 => gru(Gru::new(input, hidden).reset(Reset::Before).on(isa), sizes, room),
        _ => mgu(Mgu::new(input, hidden).on(isa), sizes, room),
    }
}

/// Cuts buffers from the room, one after the other.
struct Buffers<'a> {
    room: &'a mut [f32],
    random: u64,
}

impl<'a> Buffers<'a> {
    fn new(room: &'a mut [f32]) -> Self {
        Buffers { room, random: 1 }
    }

    /// A buffer full of NaN, for data that are written before they are read.
    fn blank(&mut self, len: usize) -> &'a mut [f32] {
        let (taken, rest) = core::mem::take(&mut self.room).split_at_mut(len);
        self.room = rest;
        taken.fill(f32::NAN);
        taken
    }

    /// Bytes for narrow weights, aligned to 4.
    #[cfg(target_os = "none")]
    fn bytes(&mut self, len: usize) -> &'a mut [u8] {
        // SAFETY: a byte needs no alignment, and every pattern of bits is a byte and a float.
        unsafe { self.blank(len / 4).align_to_mut().1 }
    }

    /// Uniform numbers below `scale` in magnitude: an integer of 24 bits, times a power of two, times
    /// `scale`.
    fn random(&mut self, len: usize, scale: f32) -> &'a mut [f32] {
        let taken = self.blank(len);
        for x in &mut *taken {
            self.random =
                self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *x = ((self.random >> 40) as f32 / 8_388_608.0 - 1.0) * scale;
        }
        taken
    }
}

// The passes of a layer are in a private trait, so this cannot be a generic function.
macro_rules! passes {
    ($($name:ident: $layer:ty,)*) => {$(
        fn $name(layer: $layer, (steps, batch): (usize, usize), room: &mut [f32]) -> Result<u64> {
            let mut sum = Sum::NEW;
            let rows = steps * batch;
            let mut buffers = Buffers::new(room);
            let weights = &*buffers.random(layer.weights_len(), 0.7);
            let x = buffers.random(rows * layer.input(), 2.0);
            let dy = &*buffers.random(rows * layer.hidden(), 1.0);
            let state = buffers.random(layer.state_len(batch), 1.0);
            let dstate = buffers.random(layer.state_len(batch), 1.0);
            let grads = buffers.random(layer.weights_len(), 1.0);
            let y = buffers.blank(rows * layer.hidden());
            let dx = buffers.blank(x.len());
            let tape = buffers.blank(layer.tape_len(steps, batch));
            let scratch = buffers.blank(layer.train_scratch_len(batch).max(layer.scratch_len(steps, batch)));
            let packed = buffers.blank(layer.packed_len());

            layer.forward_train(weights, ForwardTrain { sequences: Sequences::new(steps, batch), x, y, state, recurrent_dropout: None, layer_dropout: None, tape, scratch })?;
            sum.add(y);
            sum.add(state);
            scratch.fill(f32::NAN);
            layer.backward(
                weights,
                Backward {
                    sequences: Sequences::new(steps, batch),
                    x,
                    y,
                    dy,
                    dstate,
                    dx: Some(dx),
                    grads: Some(grads),
                    mode: Gradients::Accumulate,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape,
                    scratch,
                },
            )?;
            sum.add(dx);
            sum.add(grads);
            sum.add(dstate);

            // Inference with in-place and with packed weights, on inputs that saturate the activations.
            x.iter_mut().for_each(|x| *x *= 50.0);
            x[0] = f32::INFINITY;
            x[rows * layer.input() - 1] = f32::NAN;
            for forms in 0..2 {
                state.fill(0.25);
                y.fill(f32::NAN);
                scratch.fill(f32::NAN);
                let args = Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch };
                if forms == 0 {
                    layer.forward(weights, args)?;
                } else {
                    layer.forward(&layer.pack(weights, &mut *packed)?, args)?;
                }
                sum.add(y);
                sum.add(state);
            }
            Ok(sum.0)
        }
    )*};
}

passes! {
    rnn: Rnn,
    lstm: Lstm,
    gru: Gru,
    mgu: Mgu,
}

/// The exports of the WebAssembly module, and the panic handler that it needs without a standard library.
#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::*;

    static mut BUFFERS: [f32; ROOM] = [0.0; ROOM];
    static mut TEXT: Text = Text { bytes: [0; 1 << 16], len: 0 };

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }

    struct Text {
        bytes: [u8; 1 << 16],
        len: usize,
    }

    impl Write for Text {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            let to = self.bytes.get_mut(self.len..self.len + s.len()).ok_or(fmt::Error)?;
            to.copy_from_slice(s.as_bytes());
            self.len += s.len();
            Ok(())
        }
    }

    /// Writes the report and returns its length; 0 for an error.
    #[unsafe(no_mangle)]
    extern "C" fn run() -> usize {
        // SAFETY: a module has one thread, and these are the only references.
        let (room, text) = unsafe { (&mut *(&raw mut BUFFERS), &mut *(&raw mut TEXT)) };
        text.len = 0;
        report(text, room).map_or(0, |()| text.len)
    }

    static mut ROOM_OF_COUNTS: [f32; counts::ROOM] = [0.0; counts::ROOM];

    /// [`counts::calls`]; 1 for an error.
    #[unsafe(no_mangle)]
    extern "C" fn calls(format: u32, hidden: usize, rows: usize, calls: u32) -> u32 {
        // SAFETY: a module has one thread, and this is the only reference.
        let room = unsafe { &mut *(&raw mut ROOM_OF_COUNTS) };
        counts::calls(format, (hidden, rows), calls, room).is_err().into()
    }

    /// The address of the report.
    #[unsafe(no_mangle)]
    extern "C" fn text() -> *const u8 {
        // SAFETY: only the address is taken.
        unsafe { (&raw const TEXT.bytes).cast() }
    }
}
