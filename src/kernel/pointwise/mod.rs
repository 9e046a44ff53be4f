//! Elementwise functions: activations, the parts of a softmax, updates of weights, sums over rows. This
//! folder may import the kernel's `panel`, `rows` and `vector`, and `simd`.
//!
//! | file | what it does |
//! |---|---|
//! | `math`, `activation` | exp, sigmoid, tanh as polynomials; the other activation functions |
//! | `softmax` | the parts of a softmax |
//! | `finish` | elementwise activations after a product, and parts of a logistic loss |
//! | `columns` | sums over rows |
//! | `alignment` | sums over the alignments of a sequence with its labels |
//! | `additive` | the scores of additive attention |
//! | `update` | updates of weights by an optimiser |

pub(crate) mod activation;
pub(crate) mod additive;
pub(crate) mod alignment;
pub(crate) mod columns;
pub(crate) mod finish;
pub(crate) mod math;
pub(crate) mod normalise;
pub(crate) mod softmax;
pub(crate) mod update;
