//! Terms, as this crate uses them, in the order of the alphabet.
//!
//! | term | meaning |
//! |---|---|
//! | activation | the function that a unit applies to its sum, such as tanh. Also its result |
//! | backward pass | computes the gradients of a loss from the last layer to the first, and from the last step to the first |
//! | batch, `B` | several sequences that are computed together. A sequence is a *row* of the batch |
//! | bias | a number that is added to the sum of a gate: `b_ih` beside the product of the input, `b_hh` beside that of the hidden state |
//! | BPTT | backpropagation through time: the backward pass of a recurrent layer. *Truncated*, it stops at the start of a chunk; the state is carried on |
//! | canonical weights | weights in the order of this crate, one flat slice (see [`layouts`](super::layouts)). Training changes these. Compare *packed weights* |
//! | causal | said of a layer whose output at a step does not depend on later steps. Only such layers run step by step |
//! | cell | the equations of one step: RNN, LSTM, GRU or MGU |
//! | cell state, `c` | what an LSTM remembers beside its hidden state |
//! | chain | a model whose layers are in a slice, known at run time: [`Chain`](crate::model::Chain) |
//! | chunk | a part of a sequence that is computed in one call. The state continues from chunk to chunk |
//! | class, id | a class is one of several labels; an id is its number, from 0 |
//! | clip | of gradients: scale them down to a largest norm. Of a cell (in ONNX): bound the sums before the activations |
//! | direction | forward runs from the first step to the last, reverse from the last to the first. A *bidirectional* layer does both, and a [`Merge`](crate::Merge) joins them |
//! | dropout | in training, sets a random part of values to zero and scales up the others. The *factors* (0 or the scale) are drawn before the pass |
//! | embedding | a table with a vector of numbers for each id |
//! | epoch | one pass of the training over all of its data |
//! | feature | one of the numbers of a step: `I` input features, `O` output features |
//! | form | a cell together with the passes and options that a program links, for images that are opened at run time: [`Form`](crate::image::Form) |
//! | forward pass | computes outputs from inputs. `forward_train` also writes the tape |
//! | fused | a product and a sum that are rounded once. Instruction sets with this operation give the same bits as one another |
//! | gate, `G` | a part of a cell with its own weights, such as the forget gate. In `G`, candidates count as gates: an LSTM has 4, a GRU 3, an MGU 2, an RNN 1 |
//! | gradient | the derivative of a loss by a number. Its name has a `d` in front: `dx`, `dy`, `dstate`; those of weights are `grads` |
//! | hidden state, `h` | what a layer computed in the step before, and its output |
//! | image | a model and its weights as bytes, which firmware uses in place: [`image`](crate::image) |
//! | instruction set | the vector instructions that a pass uses: [`Isa`](crate::Isa). *Pinned*, a layer uses that one, whatever the CPU has |
//! | layer | a cell with its number of inputs `I` and of units `H`; or a layer without time, such as a dense layer |
//! | learning rate | how far an update moves the weights; a *schedule* changes it from update to update, and often begins with a *warm-up* |
//! | length | of a buffer: its number of elements, never of bytes. Of a row: its number of steps |
//! | logit | an output before softmax or sigmoid. Models give logits |
//! | loss | the number that training makes smaller |
//! | mask | says which steps of a row take part; see [`Masked`](crate::Masked) |
//! | model | an array of layers over one flat buffer of each kind: [`Model`](crate::model::Model) |
//! | moments | what an optimiser remembers of each weight |
//! | narrow | said of weights of 16 or 8 bits: [`narrow_weights`](super::narrow_weights) |
//! | nat | the unit of cross-entropy with natural logarithms. A loss of 1 nat: on (geometric) average, the right class has probability `exp(-1)`, or 37 % |
//! | norm | the square root of the sum of squares, of all gradients together unless said otherwise |
//! | packed weights | a copy of the weights in the order in which the vectors of the CPU read them: [`Packed`](crate::Packed) |
//! | padding | the steps after the end of a row that is shorter than the longest one of its batch |
//! | panel | a part of packed weights: the rows of a matrix that one vector computes, side by side |
//! | pass | a function that computes a layer or a model: `step`, `forward`, `forward_train`, `backward`, `forward_backward` |
//! | peephole | a weight from the cell state of an LSTM to a gate |
//! | plan | what a file of PyTorch's parameters does not say: the order of the modules and what is between them: [`Plan`](crate::io::Plan) |
//! | pool | reduces the steps of a sequence to one row: [`Pool`](crate::Pool) |
//! | projection, `R` | a matrix that reduces the `H` units of an LSTM to `R` outputs. Without it, `R = H` |
//! | rank | one of several processes that train together |
//! | reset | puts the state back to zeros, at a step of a row, or between sequences. Not the *reset gate* of a GRU |
//! | row | a sequence of a batch. Of a matrix: the weights of one output |
//! | scale | a layer that multiplies and shifts each feature: [`Scale`](crate::Scale). Of narrow weights: what an integer is multiplied by |
//! | scratch | a buffer for the work of one pass. Its contents do not matter before, and mean nothing after |
//! | sequence, `T` | the steps of one row. [`Sequences`](crate::Sequences) describes those of a batch |
//! | shard | a part of a batch whose gradients a trainer keeps apart, and then adds |
//! | stack | layers of one cell on top of each other: [`Stack`](crate::Stack) |
//! | state | all that a layer carries from step to step: `h`, and `c` of an LSTM |
//! | stateful | said of a trainer or predictor that keeps the state for the next call |
//! | step | one moment of a sequence. Also the pass that computes one |
//! | tape | what a forward pass of training keeps for its backward pass |
//! | target | what the model should have given |
//! | tile | the block of results that the innermost loop of a product keeps in registers |
//! | time-major, batch-major | the order of a buffer: `[T, B, features]` (the default) or `[B, T, features]` |
//! | ulp | unit in the last place: the distance between a float and the next one |
//! | unit, `H` | one number of the hidden state, with its weights |
//! | update | one change of the weights by an optimiser |
//! | validation | measuring a model on data that it is not trained on |
