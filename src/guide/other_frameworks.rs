//! Coming from PyTorch or Keras: what is called what, and what is not the same.
//!
//! How weights are called and ordered in the files of PyTorch, Keras, ONNX and RTNeural is a table of [`io`](crate::io), which reads
//! them. This chapter is about code.
//!
//! # PyTorch
//!
//! | PyTorch | here |
//! |---|---|
//! | `nn.RNN`, `nn.LSTM`, `nn.GRU` | [`Rnn::new(I, H)`](crate::Rnn::new), [`Lstm::new`](crate::Lstm::new), [`Gru::new`](crate::Gru::new) |
//! | `nn.RNNCell`, `nn.LSTMCell`, `nn.GRUCell` | the same, by [`step`](crate::Recurrent::step) |
//! | `num_layers`, `bidirectional=True` | [`Stack::new(layer).layers(n)`](crate::Stack::layers), [`.bidirectional(Merge::Concat)`](crate::Stack::bidirectional) |
//! | `batch_first=True` | [`Sequences::new(T, B).batch_major()`](crate::Sequences::batch_major) |
//! | `nonlinearity="relu"` | [`.activation(Activation::Relu)`](crate::Rnn::activation) |
//! | `bias=False`, `proj_size` | [`.bias(false)`](crate::Recurrent::bias), [`.projection(R)`](crate::Lstm::projection) |
//! | `dropout=p` between layers | factors in [`layer_dropout`](crate::ForwardTrain::layer_dropout); in a model [`Layer::Dropout(p)`](crate::model::Layer::Dropout) between single layers |
//! | `h0, c0` and `h_n, c_n` | one `state`, which a pass reads and overwrites: of each layer and direction `h`, then `c` |
//! | `pack_padded_sequence(x, lengths)` | [`.lengths(&lengths)`](crate::Sequences::lengths): in any order, 0 allowed, nothing is copied |
//! | `pad_packed_sequence` | nothing: the output is padded, with zeros |
//! | `nn.Linear`, `nn.Embedding` | [`Dense`](crate::Dense), [`Embedding`](crate::Embedding) |
//! | `nn.CrossEntropyLoss(ignore_index=..)` | [`CrossEntropy::ignore`](crate::CrossEntropy::ignore); 0 and not NaN if nothing counts |
//! | its `weight`, `label_smoothing` | [`class_weights`](crate::CrossEntropy::class_weights), [`smoothing`](crate::CrossEntropy::smoothing) |
//! | `nn.CTCLoss` of `log_softmax` | [`Ctc`](crate::Ctc), which takes logits; [`CtcGreedy`](crate::CtcGreedy), [`CtcBeam`](crate::CtcBeam) |
//! | `nn.BCEWithLogitsLoss`, `nn.MSELoss` | [`binary_cross_entropy`](crate::binary_cross_entropy), [`mean_squared_error`](crate::mean_squared_error) |
//! | `pos_weight`; `nn.L1Loss`, `nn.HuberLoss` | [`Elementwise::pos_weight`](crate::Elementwise::pos_weight); [`mean_absolute_error`](crate::mean_absolute_error), [`huber`](crate::huber) |
//! | `loss.backward()` | [`backward`](crate::Recurrent::backward), which you call; [`forward_backward`](crate::model::Model::forward_backward) of a model |
//! | `optimizer.zero_grad()` | nothing: gradients are overwritten, unless [`Gradients::Accumulate`](crate::Gradients::Accumulate) is asked for |
//! | `h.detach()` between chunks | carry `state`, begin `dstate` at zero |
//! | `clip_grad_norm_`, `clip_grad_value_` | [`clip_norm`](crate::train::clip_norm), [`clip_value`](crate::train::clip_value); [`clip_scale`](crate::train::clip_scale) with `update_scaled` saves a pass over memory |
//! | `optim.SGD`, `RMSprop`, `Adam`, `AdamW` | [`train`](crate::train): the same equations and defaults |
//! | `CosineAnnealingLR`, `StepLR` | [`Cosine`](crate::train::Cosine), [`Steps`](crate::train::Steps): functions of the number of updates |
//! | `LambdaLR`, `LinearLR` as a warm-up | [`Trainer::rate_by`](crate::trainer::Trainer::rate_by), [`warmup`](crate::trainer::Trainer::warmup) |
//! | parameter groups, `requires_grad_(False)` | [`Trainer::layer`](crate::trainer::Trainer::layer) |
//! | `decoder.weight = encoder.weight`, `padding_idx` | [`Trainer::tie_embeddings`](crate::trainer::Trainer::tie_embeddings), [`padding_idx`](crate::trainer::Trainer::padding_idx) |
//! | `AveragedModel` with `get_ema_multi_avg_fn` | [`Trainer::average`](crate::trainer::Trainer::average) |
//! | `random_split`, `DataLoader(shuffle=True)`, `pad_sequence` | [`trainer::split`](crate::trainer::split()), [`Order`](crate::trainer::Order), [`Padded`](crate::trainer::Padded) |
//! | `nn.init.uniform_`, `normal_`, `orthogonal_` | [`uniform`](crate::train::uniform), [`normal`](crate::train::normal), [`orthogonal`](crate::train::orthogonal) |
//! | `model.train()`, `model.eval()` | another pass: `forward_train`, `forward` |
//! | `torch.no_grad()` | `forward` keeps nothing |
//! | `state_dict()`, `load_state_dict()` | the flat slice of weights; files by [`io`](crate::io) |
//! | `torch.manual_seed` | the generator that you pass |
//! | `flatten_parameters()` | [`pack`](crate::Recurrent::pack), in a way |
//!
//! What is not the same:
//! - There is no graph. A backward pass belongs to one forward pass and its tape, and you call them in reverse order.
//! - Buffers are yours, and their lengths are checked. Nothing grows.
//! - `clip_norm` leaves gradients that are not finite as they are and returns `None`, where PyTorch scales them all to NaN or 0.
//! - A row's result does not depend on its batch, to the bit.
//! - `padding_idx` is the trainer's, not the layer's. Padded ids have to be ids; their steps have no gradient if `lengths` say so.
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
//! | `Masking`, `mask_zero=True` | [`.mask(&mask, Masked::Carry)`](crate::Sequences::mask); you say which steps those are |
//! | `zero_output_for_mask=True` | [`Masked::Zero`](crate::Masked::Zero) |
//! | `activation=a`, `recurrent_activation=r` | [`.activations(r, a, a)`](crate::Lstm::activations) of an LSTM, [`(r, a)`](crate::Gru::activations) of a GRU, [`.activation(a)`](crate::Rnn::activation) of an RNN |
//! | `reset_after=True`, the default | [`Reset::After`](crate::Reset::After), the default |
//! | `reset_after=False` | [`.reset(Reset::Before)`](crate::Gru::reset): another result for the same weights |
//! | `use_bias=False` | [`.bias(false)`](crate::Recurrent::bias) |
//! | `unit_forget_bias=True`, the default | [`forget_bias(&mut weights, 1.0)`](crate::Lstm::forget_bias) after `init` |
//! | `recurrent_dropout=p` | [`.recurrent_dropout()`](crate::Recurrent::recurrent_dropout), with factors of [`dropout`](crate::train::dropout) |
//! | `dropout=p` | factors on `x`, of which you repeat one row for all steps; [`Layer::Dropout`](crate::model::Layer::Dropout) draws each step anew |
//! | `TimeDistributed(Dense(n))` | [`Dense`](crate::Dense), over `T*B` rows |
//! | `GlobalAveragePooling1D`, `GlobalMaxPooling1D` | [`Pool::Mean`](crate::Pool::Mean), [`Pool::Max`](crate::Pool::Max) |
//! | `fit` | a loop over [`Trainer::update`](crate::trainer::Trainer::update) |
//! | `from_logits=False`, a softmax at the end | logits always: [`softmax`](crate::softmax) of the output for people |
//! | `unroll`, `implementation` | nothing |
//!
//! What is not the same:
//! - Outputs of a reversed layer stay at the step of their input. Keras gives them in the order in which they are computed. The last of them is
//!   that of the first step: [`Pool::First`](crate::Pool::First).
//! - `Bidirectional` with `return_sequences=False` joins last states of different steps: [`Pool::Ends`](crate::Pool::Ends) does, and
//!   [`Pool::Last`](crate::Pool::Last) takes both directions at the last step.
//! - Recurrent dropout has one mask for all gates; one for each gate cannot be expressed.
//! - [`init`](crate::Recurrent::init) is PyTorch's: Keras begins with other distributions and an open forget gate.
//! - Adam's `eps` is PyTorch's 1e-8, and not 1e-7: it is a field.
//! - Before the first step of a call that takes part, a masked output of Keras is 0, whatever the initial state; here it is that state.
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
