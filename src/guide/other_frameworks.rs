//! Coming from PyTorch or Keras: the names of things here, and what behaves differently.
//!
//! This chapter is about code. To load a file of PyTorch, Keras, ONNX or RTNeural in a program, or from the
//! command line, see [`io`](crate::io). It also has a table of the names and orders of weights in those
//! files.
//!
//! # PyTorch
//!
//! | PyTorch | here |
//! |---|---|
//! | `nn.RNN`, `nn.LSTM`, `nn.GRU` | [`Rnn::new(I, H)`](crate::Rnn::new), [`Lstm::new`](crate::Lstm::new), [`Gru::new`](crate::Gru::new) |
//! | `nn.RNNCell`, `nn.LSTMCell`, `nn.GRUCell` | the same layers, with [`step`](crate::Recurrent::step) |
//! | `num_layers`, `bidirectional=True` | [`Stack::new(layer).layers(n)`](crate::Stack::layers), [`.bidirectional(Merge::Concat)`](crate::Stack::bidirectional) |
//! | `batch_first=True` | [`Sequences::new(T, B).batch_major()`](crate::Sequences::batch_major) |
//! | `nonlinearity="relu"` | [`.activation(Activation::Relu)`](crate::Rnn::activation) |
//! | `bias=False`, `proj_size` | [`.bias(false)`](crate::Recurrent::bias), [`.projection(R)`](crate::Lstm::projection) |
//! | `dropout=p` between layers | factors in [`layer_dropout`](crate::ForwardTrain::layer_dropout); in a model [`Layer::Dropout(p)`](crate::model::Layer::Dropout) between single layers |
//! | `h0, c0` and `h_n, c_n` | one `state`, which a pass reads and overwrites: for each layer and direction `h`, then `c` |
//! | `pack_padded_sequence(x, lengths)` | [`.lengths(&lengths)`](crate::Sequences::lengths): in any order, 0 allowed, nothing is copied |
//! | `pad_packed_sequence` | not needed: the output is padded with zeros |
//! | `nn.Linear`, `nn.Embedding` | [`Dense`](crate::Dense), [`Embedding`](crate::Embedding) |
//! | `nn.CrossEntropyLoss(ignore_index=..)` | [`CrossEntropy::ignore`](crate::CrossEntropy::ignore); the loss is 0, not NaN, if no target counts |
//! | its `weight`, `label_smoothing` | [`class_weights`](crate::CrossEntropy::class_weights), [`smoothing`](crate::CrossEntropy::smoothing) |
//! | `nn.CTCLoss` of `log_softmax` | [`Ctc`](crate::Ctc), which takes logits; [`CtcGreedy`](crate::CtcGreedy), [`CtcBeam`](crate::CtcBeam) |
//! | `nn.BCEWithLogitsLoss`, `nn.MSELoss` | [`binary_cross_entropy`](crate::binary_cross_entropy), [`mean_squared_error`](crate::mean_squared_error) |
//! | `pos_weight`; `nn.L1Loss`, `nn.HuberLoss` | [`Elementwise::pos_weight`](crate::Elementwise::pos_weight); [`mean_absolute_error`](crate::mean_absolute_error), [`huber`](crate::huber) |
//! | `loss.backward()` | [`backward`](crate::Recurrent::backward) of each layer, which you call; [`forward_backward`](crate::model::Model::forward_backward) of a model |
//! | `optimizer.zero_grad()` | not needed: gradients are overwritten, unless you choose [`Gradients::Accumulate`](crate::Gradients::Accumulate) |
//! | `h.detach()` between chunks | keep `state`, and start with a `dstate` of zero |
//! | `clip_grad_norm_`, `clip_grad_value_` | [`clip_norm`](crate::train::clip_norm), [`clip_value`](crate::train::clip_value); [`clip_scale`](crate::train::clip_scale) with `update_scaled` saves a pass over memory |
//! | `optim.SGD`, `RMSprop`, `Adam`, `AdamW` | [`train`](crate::train): the same equations and defaults |
//! | `CosineAnnealingLR`, `StepLR` | [`Cosine`](crate::train::Cosine), [`Steps`](crate::train::Steps): functions of the number of updates |
//! | `LambdaLR`, `LinearLR` as a warm-up | [`Trainer::rate_by`](crate::trainer::Trainer::rate_by), [`warmup`](crate::trainer::Trainer::warmup) |
//! | parameter groups, `requires_grad_(False)` | [`Trainer::layer`](crate::trainer::Trainer::layer) |
//! | `decoder.weight = encoder.weight`, `padding_idx` | [`Trainer::tie_embeddings`](crate::trainer::Trainer::tie_embeddings), [`padding_idx`](crate::trainer::Trainer::padding_idx) |
//! | `AveragedModel` with `get_ema_multi_avg_fn` | [`Trainer::average`](crate::trainer::Trainer::average) |
//! | `random_split`, `DataLoader(shuffle=True)`, `pad_sequence` | [`trainer::split`](crate::trainer::split()), [`Order`](crate::trainer::Order), [`Padded`](crate::trainer::Padded) |
//! | `nn.init.uniform_`, `normal_`, `orthogonal_` | [`uniform`](crate::train::uniform), [`normal`](crate::train::normal), [`orthogonal`](crate::train::orthogonal) |
//! | `model.train()`, `model.eval()` | different passes: `forward_train`, `forward` |
//! | `torch.no_grad()` | `forward` keeps nothing for a backward pass |
//! | `state_dict()`, `load_state_dict()` | the flat slice of weights; files with [`io`](crate::io) |
//! | `torch.manual_seed` | the generator that you pass |
//! | `flatten_parameters()` | roughly [`pack`](crate::Recurrent::pack) |
//!
//! Differences:
//! - There is no graph. A backward pass belongs to one forward pass and its tape. You call the backward
//!   passes in reverse order.
//! - The buffers are yours, and their lengths are checked. No buffer grows.
//! - `clip_norm` does not change gradients that are not finite, and returns `None`. PyTorch scales them all
//!   to NaN or 0.
//! - The result of a row does not depend on its batch, to the bit.
//! - `padding_idx` is a setting of the trainer, not of the layer. Padded ids must be valid ids. Their steps
//!   get no gradient if `lengths` excludes them.
//!
//! # Keras
//!
//! | Keras | here |
//! |---|---|
//! | `SimpleRNN`, `LSTM`, `GRU` | [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm), [`Gru`](crate::Gru), with the number of inputs |
//! | batches of `[batch, time, features]` | [`.batch_major()`](crate::Sequences::batch_major); without it `[time, batch, features]` |
//! | `return_sequences=True` | `y` |
//! | `return_sequences=False` | `state` with an empty `y`; in training a whole `y` and an empty `dy`; in a model [`Pool::Last`](crate::Pool::Last) |
//! | `return_state`, `initial_state` | `state` |
//! | `stateful=True`, `reset_states()` | keep `state`, fill it with 0; [`stateful`](crate::trainer::Trainer::stateful) and [`reset`](crate::trainer::Trainer::reset) of a trainer or predictor |
//! | `go_backwards=True` | [`.reverse()`](crate::Recurrent::reverse) |
//! | `Bidirectional(merge_mode="concat")`, `"sum"` | [`Merge::Concat`](crate::Merge::Concat), [`Merge::Sum`](crate::Merge::Sum) |
//! | `Masking`, `mask_zero=True` | [`.mask(&mask, Masked::Carry)`](crate::Sequences::mask); you say which steps are masked |
//! | `zero_output_for_mask=True` | [`Masked::Zero`](crate::Masked::Zero) |
//! | `activation=a`, `recurrent_activation=r` | [`.activations(r, a, a)`](crate::Lstm::activations) of an LSTM, [`(r, a)`](crate::Gru::activations) of a GRU, [`.activation(a)`](crate::Rnn::activation) of an RNN |
//! | `reset_after=True`, the default | [`Reset::After`](crate::Reset::After), the default |
//! | `reset_after=False` | [`.reset(Reset::Before)`](crate::Gru::reset): another result for the same weights |
//! | `use_bias=False` | [`.bias(false)`](crate::Recurrent::bias) |
//! | `unit_forget_bias=True`, the default | [`forget_bias(&mut weights, 1.0)`](crate::Lstm::forget_bias) after `init` |
//! | `recurrent_dropout=p` | [`.recurrent_dropout()`](crate::Recurrent::recurrent_dropout), with factors of [`dropout`](crate::train::dropout) |
//! | `dropout=p` | factors on `x`: draw one row and repeat it for all steps; [`Layer::Dropout`](crate::model::Layer::Dropout) draws new factors for each step |
//! | `TimeDistributed(Dense(n))` | [`Dense`](crate::Dense), over `T*B` rows |
//! | `GlobalAveragePooling1D`, `GlobalMaxPooling1D` | [`Pool::Mean`](crate::Pool::Mean), [`Pool::Max`](crate::Pool::Max) |
//! | `fit` | a loop over [`Trainer::update`](crate::trainer::Trainer::update) |
//! | `from_logits=False`, a softmax at the end | models give logits: apply [`softmax`](crate::softmax) to show probabilities; a softmax in a file is applied by [`Instance`](crate::io::Instance) |
//! | `unroll`, `implementation` | no equivalent |
//!
//! Differences:
//! - Outputs of a reversed layer stay at the step of their input. Keras gives them in the order in which they
//!   are computed. The last one that Keras computes is that of the first step:
//!   [`Pool::First`](crate::Pool::First).
//! - `Bidirectional` with `return_sequences=False` joins the last states of both directions, which belong to
//!   different steps. [`Pool::Ends`](crate::Pool::Ends) does the same. [`Pool::Last`](crate::Pool::Last)
//!   takes both directions at the last step.
//! - Recurrent dropout has one mask for all gates. Separate masks for the gates are not supported.
//! - [`init`](crate::Recurrent::init) uses PyTorch's distributions. Keras uses other ones, and an open forget
//!   gate.
//! - The `eps` of Adam is PyTorch's 1e-8, not 1e-7. It is a field.
//! - If a row is masked from the start of a call, Keras outputs 0 until its first unmasked step, whatever the
//!   initial state. Here the output is the initial state.
//!
//! # The same layer in both
//! ```python
//! rnn = nn.LSTM(8, 16, num_layers=2, bidirectional=True, batch_first=True)
//! packed = pack_padded_sequence(x, [10, 4, 7], batch_first=True, enforce_sorted=False)
//! y, (h, c) = rnn(packed)                                    # from a state of zero
//! y, _ = pad_packed_sequence(y, batch_first=True)            # [3, 10, 32]
//! ```
//!
//! ```
//! use recurrent::{Forward, Lstm, LstmCell, Merge, Sequences, Stack};
//! const RNN: Stack<LstmCell> = Stack::new(Lstm::new(8, 16)).layers(2).bidirectional(Merge::Concat);
//! let sequences = Sequences::new(10, 3).batch_major().lengths(&[10, 4, 7]);
//! # let (weights, x) = (vec![0.1; RNN.weights_len()], vec![1.0; 3 * 10 * 8]);
//! let mut state = vec![0.0; RNN.state_len(3)];
//! let mut y = vec![0.0; 3 * 10 * RNN.output()]; // [3, 10, 32]
//! let mut scratch = vec![0.0; RNN.scratch_len(10, 3)];
//! RNN.forward(&weights, Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
//! # assert!(y[(10 + 4) * 32..2 * 10 * 32].iter().all(|y| *y == 0.0) && y[(10 + 3) * 32] != 0.0);
//! # Ok::<(), recurrent::Error>(())
//! ```
