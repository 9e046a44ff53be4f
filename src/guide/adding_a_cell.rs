//! Adding a cell: the files, the pieces, and a worked example.
//!
//! A cell is the equations of one step, on vectors of units. It touches no memory and knows no instruction set; packing, time loops,
//! masks, training, stacks and checks of lengths come from the floors around it. Read `src/cell/rnn/mod.rs` first: it is the shortest. Then
//! say of your cell which of two kinds it is:
//!
//! - **One stage**: every product of a step is with `x` or with the previous `h`. RNN, LSTM, and GRU with reset after. It implements `Fused`.
//! - **Two stages**: some hidden weights multiply what the step itself has made. GRU with reset before, and MGU, which is the shorter. It implements `SecondStage`.
//!
//! # The pieces
//! All of them are in `src/cell/NAME/`.
//!
//! | piece | what it says |
//! |---|---|
//! | the cell, `pub struct`, and an enum of its gates with `impl Gate` | options, if any; the order of blocks in the weights |
//! | `impl Layout` | how gates feed accumulators, of which there are at most 4 |
//! | `impl Equations` | the equations forward, and their derivatives |
//! | `impl Fused`, or `impl SecondStage` | how the hidden weights get their gradients; the equations of the second stage |
//! | `impl Cell` | `GATES`; `STATES` (2 if there is a `c`); `BIASES`, which is `ACC`; `TAPE`, planes of H in a row of the tape |
//! | `impl Choose` | from the cell's options to the type with the equations |
//! | `oracle.rs` | the same in f64, from the paper, sharing nothing |
//!
//! **Layout.** Accumulator `g` gets gate `g` of `w_ih`, for the first `XG` ones. Gate `HFIRST + g` of `w_hh` feeds accumulator `HMAP[g]`, for `HG`
//! gates. `BIAS_X[a]`, `BIAS_H[a]` are the gates of `b_ih`, `b_hh` that accumulator `a` starts from, or `NONE`.
//!
//! **Equations.** `forward` gets finished accumulators, the previous `h` and `c`; it returns the new ones and `saved`, one value for each
//! accumulator, which goes on the tape. (A previous `c` is kept by itself: `TAPE` is `ACC`, and one more with a `c`.) `backward` gets `saved`,
//! the previous `h` and `c`, and the gradients of the new ones. It returns the gradients of the
//! accumulators, which take the places of `saved`, and those of the previous `h` and `c`, without what comes through `w_hh`. Write down
//! derivatives by activated values: `f (1 - f)` is `s.fnma(f, f, f)`, `1 - n^2` is `s.fnma(n, n, one)`.
//!
//! **Hidden gradients.** The gradients of gates `gate..gate + count` of `w_hh` and `b_hh` are in the planes from `plane` on. They multiply the
//! previous hidden state (`operand: None`), or a plane of the tape (`Some(plane)`). Those of `w_ih` and `b_ih` are planes `0..XG`.
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
//! What passes from stage to stage stands in the planes of the tape. A second stage shares four of them, so `ACC` is 4, also if
//! fewer are needed; the spare one is useful here on the way back.
//!
//! | plane | after stage one | after stage two | back, after stage one | back, after stage two |
//! |---|---|---|---|---|
//! | 0 `F` | `f` | `f` | `f` | **gradient of f's sum** |
//! | 1 `N` | input part of n's sum | `n` | **gradient of n's sum** | the same |
//! | 2 | 0 | 0 | `dh' * (n - h)` | anything |
//! | 3 `FH` | `f * h` | the same | the same | the same: what `W_hn` multiplies |
//!
//! ```text
//! stage one   ACC 4  XG 2  HG 1  HMAP [0; 4]  HFIRST 0  BIAS_X and BIAS_H [0, 1, NONE, NONE]  HAS_C false
//!   forward   f = sigmoid(acc[F]);  h stays;  saved [f, acc[N], 0, f * h]
//!   backward  dn = dh f (1 - n^2);  previous dh: dh - dh f;  gradients [f, dn, dh (n - h), f * h]
//!
//! stage two   ACC 0  XG 0  HG 1  HMAP [0; 4]  HFIRST 1  no biases  HAS_C false;  SUM = N  OPERAND = FH
//!   forward   n = tanh(sum);  h' = h + f (n - h);  saves n
//!   backward  given d = W_hn^T dn:  df = (d h + plane 2) f (1 - f);  previous dh: dh + d f;  gradients [df, dn, anything, f * h]
//!
//! HIDDEN_GRADIENTS   gate 0, count 1, plane F, operand None;   gate 1, count 1, plane N, operand Some(FH)
//! Cell               GATES 2  STATES 1  BIASES 4  TAPE 4
//! ```
//!
//! `src/cell/mgu/mod.rs` says just this. Packing, the products between the stages and the time they happen at follow from it, in
//! `src/cell/two_stage.rs`: `impl Choose` runs a pass with `Two(Mgu)`, or, if there are options, with `OptionalTwo`.
//!
//! # Options
//! Every layer has [`recurrent_dropout`](crate::Recurrent::recurrent_dropout), and a layer with options comes to `Choose::form` with `options`
//! true. A cell that takes the fused equations then would leave the factors out silently, which this crate does not do. So give the cell
//! a general form, of equations over stored sums: a one-stage cell by `Pointwise` and `Optional` on its type (`rnn` needs 30 lines), as
//! `General(self)`; one with two stages by a `Pointwise` for each and `OptionalTwoStage`, as `OptionalTwo(self)`, with the second product in
//! plane 3. Other options (`clip`, activations) are methods of your own layer.
//!
//! # The registrations
//! 1. `src/cell/mod.rs`: `mod` and `pub use`.
//! 2. `src/seq/mod.rs`: the cell in `passes!`, which compiles its passes once.
//! 3. `src/seq/any.rs`: a variant of `AnyCell`, with its counts and its number; of two stages, also in `stages`.
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
