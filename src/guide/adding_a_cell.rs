//! Adding a cell: the files, the parts, and a worked example.
//!
//! A cell is the equations of one step, on vectors of units. It touches no memory and does not know the
//! instruction set. Packing, loops over steps, masks, training, stacks and checks of lengths come from the
//! floors around it. Read `src/cell/rnn/mod.rs` first: it is the shortest. Then decide which kind your cell
//! is:
//!
//! - **One stage**: every product of a step is with `x` or with the previous `h`. RNN, LSTM, and GRU with
//!   reset after.
//! - **Two stages**: some hidden weights multiply a value that the step itself has computed. GRU with reset
//!   before, and MGU, which is the shorter one.
//!
//! # The parts
//! All of them are in `src/cell/NAME/`.
//!
//! | part | what it contains |
//! |---|---|
//! | `oracle.rs` | the equations in f64, from the paper. It shares no code with the rest |
//! | the cell, a `pub struct`, and an enum of its gates with `impl Gate` | options, if any; the order of the blocks in the weights |
//! | `impl Equations` on a private type | how gates feed sums (`LAYOUT`), the second stage (`SECOND`), the equations forward and backward |
//! | `impl Cell` | `GATES`; `STATES` (2 if there is a `c`); `BIASES`, which is `sums`; `TAPE`, planes of H in a row of the tape |
//! | `fn params` | its options in the form that the equations use, if there are any |
//!
//! **Layout.** Sum `g` gets gate `g` of `w_ih`, for the first `x_gates` sums. Gate `h_first + g` of `w_hh`
//! feeds sum `h_map[g]`, for `h_gates` gates. `bias_x[a]` and `bias_h[a]` are the gates of `b_ih` and `b_hh`
//! that sum `a` starts from, or `NONE`. A unit has at most 4 sums. The gradients of weights and biases follow
//! from the layout.
//!
//! **Equations.** `forward` gets finished sums and the previous `h` and `c`. It returns the new ones and
//! `saved`, one value for each sum, which goes on the tape. (The previous `c` is stored separately: `TAPE` is
//! `sums`, plus one if there is a `c`.) `backward` gets `saved`, the previous `h` and `c`, and the gradients
//! of the new ones. It returns the gradients of the sums, which replace `saved`, and the gradients of the
//! previous `h` and `c`, without the part that comes through `w_hh`. Write derivatives in terms of activated
//! values: `f (1 - f)` is `s.fnma(f, f, f)`, `1 - n^2` is `s.fnma(n, n, one)`.
//!
//! **Functions.** If a cell can have other activations, they are a parameter `F: Functions`, so that its
//! equations are written once. `Standard` has sigmoid and tanh, known at compile time. `Chosen` has those
//! that the options set. `f.value` computes a function. `f.save` chooses what goes on the tape: the value, or
//! the argument if the function is chosen at run time. `f.saved_both` computes value and slope from that.
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
//! The planes of the tape carry values from stage to stage. So `sums` is 4, although fewer sums are needed.
//! Here the spare plane is used in the backward pass.
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
//! `src/cell/mgu/mod.rs` contains exactly this. Packing, the products between the stages, and when they are
//! computed follow from it: in `src/kernel/step/batch.rs` for batches on sets with vectors, and in
//! `src/kernel/step/row.rs` for single rows.
//!
//! # Options
//! Every layer has [`recurrent_dropout`](crate::Recurrent::recurrent_dropout). The loop over the steps
//! applies it to what the weights multiply, so a cell does not have to do anything. Other options (`clip`,
//! activations) are methods of your layer, which set `options` of its description.
//!
//! # The registrations
//! 1. `src/cell/mod.rs`: `mod` and `pub use`.
//! 2. `src/seq/table.rs`: a line in `tables!` for each form of its equations, which compiles their passes
//!    once.
//! 3. `src/seq/any.rs`: a variant of `AnyCell`, with its counts, its number and its tables; for a cell of two
//!    stages also in `stages`.
//! 4. `src/layer/recurrent/cell.rs`: the cell and its gates in `cells!`; `cells.rs`: a type alias, a line in
//!    `cells!`, and `impl ALIAS { pub const fn new }` with its options. Then `pub use` in the `mod.rs` of
//!    both folders and in `src/lib.rs`.
//!
//! This is enough for a layer, and for a [`Stack`](crate::Stack). For [`model::Layer`](crate::model::Layer),
//! also add a variant, and match arms in `levels` of `src/model/layer.rs`, in `encode` of
//! `src/image/record.rs`, and in `kind`, `source.rs` and `torch/write.rs` of `src/io/`. The compiler finds
//! those. It does not find `decode` of `record.rs`, which reads the new number back (`tests/image.rs` finds
//! it), nor the table in `src/image/mod.rs`.
//!
//! # The tests
//! `tests/common/mod.rs` has the table of cells: a `Kind` in `FUSED` (what oracles compute) and `ALL`, its
//! gates, planes and layer, and a variant of the enum `Layer`. `tests/common/oracle.rs` includes the oracle.
//! `tests/errors.rs` has two matches. The compiler names the rest. Then these tests run over the new cell on
//! every instruction set:
//!
//! ```sh
//! cargo test --test gradients     # outputs and all gradients against differences of the oracle, in f64
//! cargo test --test bits          # whole, chunked, by steps; packed and in place; batches; instruction sets
//! cargo test --test errors --test no_alloc
//! cargo test --test sequences --test sequence_gradients      # masks, lengths, resets, directions
//! ```
//!
//! `gradients` finds a wrong sign in a derivative, a gate in the wrong place, and a plane that is overwritten
//! too early. If a framework has the cell, add golden data (`CONTRIBUTING.md`). `tests/bits/src/lib.rs` has a
//! separate list of cells, whose checksums are compared between targets. Finally run
//! `cargo bench --bench cells`, run `.ci/asm-check` (no intrinsic left as a call), add a line to
//! `CHANGELOG.md`, and run `.ci/run`.
//!
//! # Rules
//! - Functions on vectors are `#[inline(always)]`, without closures over vectors: a function that is not
//!   inlined costs ten times as much.
//! - Use `sigmoid`, `tanh` and `exp` of `kernel::math`, so that bits are the same everywhere.
//! - Do not access memory and do not branch on values: use `lt_select` to choose.
