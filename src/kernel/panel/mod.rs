//! All products: the layout of weights in panels, the sums of products over them, and the products that are
//! made of these sums. This folder may import the kernel's `rows` and `vector`, and `simd`.
//!
//! | file | what it does |
//! |---|---|
//! | `layout`, `canonical` | which gates feed which sums; the parts of a layer's weights |
//! | `pack` | packs canonical weights into gate-interleaved panels |
//! | `source` | the weights of a step of one row, packed or in place |
//! | `operand` | rows and matrices of a step's sums, in any weight format |
//! | `sums` | rows times panels: the functions that do all multiplications |
//! | `tile` | the same for one row whose equations stay in registers |
//! | `product` | rows times a matrix |
//! | `gemm`, `gather` | sums over rows; `gemm` is the only file that names `matrixmultiply` |

pub(crate) mod canonical;
pub(crate) mod gather;
pub(crate) mod gemm;
pub(crate) mod layout;
pub(crate) mod operand;
pub(crate) mod pack;
pub(crate) mod product;
pub(crate) mod source;
pub(crate) mod sums;
pub(crate) mod tile;
