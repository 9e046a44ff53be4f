//! Adding a cell: the files, the pieces, and a worked example.
//!
//! A cell is the equations of one step, on vectors of units. It touches no memory and knows no instruction set; packing, time loops,
//! masks, training, stacks and checks of lengths come from the floors around it. Read `src/cell/rnn/mod.rs` first: it is the shortest. Then
//! say of your cell which of two kinds it is:
//!
//! - **One stage**: every product of a step is with `x` or with the previous `h`. RNN, LSTM, and GRU with reset after.
//! - **Two stages**: some hidden weights multiply what the step itself has made. GRU with reset before, and MGU, which is the shorter.
//!
//! # The pieces
//! All of them are in `src/cell/NAME/`.
//!
//! | piece | what it says |
//! |---|---|
//! | `oracle.rs` | the equations in f64, from the paper, sharing nothing |
//! | the cell, `pub struct`, and an enum of its gates with `impl Gate` | options, if any; the order of blocks in the weights |
//! | `impl Equations` on a private type | how gates feed sums (`LAYOUT`), the second stage (`SECOND`), the equations forward and backward |
//! | `impl Cell` | `GATES`; `STATES` (2 if there is a `c`); `BIASES`, which is `sums`; `TAPE`, planes of H in a row of the tape |
//! | `fn params` | its options as the equations see them, if there are any |
//!
//! **Layout.** Sum `g` gets gate `g` of `w_ih`, for the first `x_gates` ones. Gate `h_first + g` of `w_hh` feeds sum `h_map[g]`, for `h_gates`
//! gates. `bias_x[a]`, `bias_h[a]` are the gates of `b_ih`, `b_hh` that sum `a` starts from, or `NONE`. A unit has at most 4 sums.
//! The gradients of weights and biases follow from the layout.
//!
//! **Equations.** `forward` gets finished sums, the previous `h` and `c`; it returns the new ones and `saved`, one value for each
//! sum, which goes on the tape. (A previous `c` is kept by itself: `TAPE` is `sums`, and one more with a `c`.) `backward` gets `saved`,
//! the previous `h` and `c`, and the gradients of the new ones. It returns the gradients of the
//! sums, which take the places of `saved`, and those of the previous `h` and `c`, without what comes through `w_hh`. Write down
//! derivatives by activated values: `f (1 - f)` is `s.fnma(f, f, f)`, `1 - n^2` is `s.fnma(n, n, one)`.
//!
//! **Functions.** A cell with other activations takes them as a parameter `F: Functions`, and its equations stand once: `Standard` has
//! sigmoid and tanh, known at compile time, and `Chosen` what the options say. `f.value` computes a function, `f.save` chooses what goes on the
//! tape (the value, or the argument where the function is chosen at run time), and `f.saved_both` gives value and slope back.
//!
//! # A worked example
//! The minimal gated unit (Zhou et al. 2016, arXiv:1603.09420) has two gates and two stages:
//!
//! ```text
//! f  = sigmoid(W_if x + b_if + W_hf h + b_hf)
//! n  = tanh(W_in x + b_in + W_hn (f * h) + b_hn)
//! h' = (1 - f) * h + f * n
//! ```
//!
//! What passes from stage to stage stands in the planes of the tape, so `sums` is 4, also if fewer are needed; the spare plane is useful
//! here on the way back.
//!
//! | plane | after stage one | after stage two | back, after stage one | back, after stage two |
//! |---|---|---|---|---|
//! | 0 `F` | `f` | `f` | `f` | **gradient of f's sum** |
//! | 1 `N` | input part of n's sum | `n` | **gradient of n's sum** | the same |
//! | 2 | 0 | 0 | `dh' * (n - h)` | anything |
//! | 3 `FH` | `f * h` | the same | the same | the same: what `W_hn` multiplies |
//!
//! ```text
//! LAYOUT      sums 4  x_gates 2  h_gates 1  h_map [0; 4]  h_first 0  bias_x and bias_h [0, 1, NONE, NONE]  has_c false
//!   forward   f = sigmoid(planes[F]);  saved [f, planes[N], 0, f * h]
//!   backward  dn = dh f (1 - n^2);  previous dh: dh - dh f;  gradients [f, dn, dh (n - h), f * h]
//!
//! SECOND      hidden gate 1;  sum N  operand FH
//!   second            n = tanh(planes[N]);  h' = h + f (n - h);  saves n
//!   second_backward   given d = W_hn^T dn:  df = (d h + plane 2) f (1 - f);  previous dh: dh + d f;  gradients [df, dn, anything, f * h]
//!
//! Cell        GATES 2  STATES 1  BIASES 4  TAPE 4
//! ```
//!
//! `src/cell/mgu/mod.rs` says just this. Packing, the products between the stages and the time they happen at follow from it, in
//! `src/kernel/step/batch.rs` for batches on sets with vectors, and in `src/kernel/step/row.rs` for rows.
//!
//! # Options
//! Every layer has [`recurrent_dropout`](crate::Recurrent::recurrent_dropout): the time loop multiplies what the weights see, and a cell has
//! nothing to do for it. Other options (`clip`, activations) are methods of your own layer, which set `options` of its description.
//!
//! # The registrations
//! 1. `src/cell/mod.rs`: `mod` and `pub use`.
//! 2. `src/seq/table.rs`: a line in `tables!` for each form of its equations, which compiles their passes once.
//! 3. `src/seq/any.rs`: a variant of `AnyCell`, with its counts, its number and its tables; of two stages, also in `stages`.
//! 4. `src/layer/recurrent/cell.rs`: the cell and its gates in `cells!`; `cells.rs`: a type alias, a line in `cells!`, and
//!    `impl ALIAS { pub const fn new }` with its options. Then `pub use` in the `mod.rs` of both folders and in `src/lib.rs`.
//!
//! This is enough for a layer, and for a [`Stack`](crate::Stack). For [`model::Layer`](crate::model::Layer) it takes a variant, and arms in
//! `levels` of `src/model/layer.rs`, in `encode` of `src/image/record.rs`, and in `kind`, `source.rs` and `torch/write.rs` of `src/io/`: the
//! compiler finds them. It does not find `decode` of `record.rs`, which reads the new number back (`tests/image.rs` does), nor the table in `src/image/mod.rs`.
//!
//! # The tests
//! `tests/common/mod.rs` has the table: a `Kind` in `FUSED` (what oracles compute) and `ALL`, its gates, planes and layer, and a
//! variant of the enum `Layer`; `tests/common/oracle.rs` includes the oracle; `tests/errors.rs` has two matches, and the compiler names the rest.
//! Then these run over the new cell on every instruction set:
//!
//! ```sh
//! cargo test --test gradients     # outputs and all gradients against differences of the oracle, in f64
//! cargo test --test bits          # whole, chunked, by steps; packed and in place; batches; instruction sets
//! cargo test --test errors --test no_alloc
//! cargo test --test sequences --test sequence_gradients      # masks, lengths, resets, directions
//! ```
//!
//! A wrong sign in a derivative, a gate in the wrong place, a plane overwritten too early: `gradients` finds each of them. If a framework
//! has the cell, add golden data (`CONTRIBUTING.md`). `tests/bits/src/lib.rs` has a list of cells of its own, whose checksums are compared
//! between targets. At last `cargo bench --bench cells`, `.ci/asm-check` (no intrinsic left as a call), a line in `CHANGELOG.md`, and `.ci/run`.
//!
//! # Rules
//! - Functions on vectors are `#[inline(always)]`, without closures over vectors: one that is not inlined costs ten times.
//! - `sigmoid`, `tanh` and `exp` are those of `kernel::math`, so that bits stay the same everywhere.
//! - No memory, no branches on values: `lt_select` chooses.
