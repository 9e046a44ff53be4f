//! Panels of integers for a [step of one row](crate::kernel::step::row) with the equations in registers, on
//! CPUs that have a dot product of bytes.
//!
//! Rows have two bytes for each element here, also those whose integers would fit into one: sums are exact, so
//! the bits are the same, and the code is needed once.

use super::codes::write_bytes;
use super::kinds::{Bytes, Kind, plane_len};
use super::panels::NarrowPanels;
use crate::kernel::Checked;
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::Matrices;
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::{Projection, Source};
use crate::kernel::panel::tile::{Acc, Weight};
use crate::kernel::vector::each;
use crate::simd::{Region, Simd};

/// How the sums of a row are computed.
type Two = Bytes<2, true>;

/// Panels that are arranged for the dot product of bytes of this CPU.
#[derive(Clone, Copy)]
pub(crate) struct BytePanels<'a>(NarrowPanels<'a>);

impl<'a> BytePanels<'a> {
    /// `None` if the panels are not arranged so.
    #[inline(always)]
    pub(crate) fn new(panels: NarrowPanels<'a>) -> Option<Self> {
        (panels.narrow.has_scales() && panels.dot.is_used()).then_some(BytePanels(panels))
    }

    /// The weights of one side.
    #[inline(always)]
    fn side(self, hidden: bool, gates: usize) -> ByteWeights {
        let NarrowPanels { start, sizes, narrow, .. } = self.0;
        let (side, dims) = (usize::from(hidden), sizes.dims);
        ByteWeights {
            codes: start.wrapping_add(sizes.codes[side]).cast(),
            scales: start.wrapping_add(sizes.scales[side]),
            panel: sizes.panel,
            gates,
            room: narrow.room_len(if hidden { dims.width } else { dims.input }),
        }
    }
}

impl<S: Simd> Projection<S> for BytePanels<'_> {
    #[inline(always)]
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        room: &mut [f32],
    ) -> Checked {
        self.0.project(s, layout, left, dims, c, room)
    }
}

impl<S: Simd> Source<S> for BytePanels<'_> {
    type W = ByteWeights;
    const SUMS: usize = <Two as Kind<S>>::PLANES;
    const AHEAD: bool = false;

    #[inline(always)]
    fn call<R: Region>(self, s: S, region: R) -> R::Output {
        // SAFETY: the panels are arranged for the dot product only if the CPU has it.
        unsafe { s.call_dot(region) }
    }
    #[inline(always)]
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool {
        let narrow = self.0.narrow;
        self.0.fits(s, layout, dims) && narrow.holds(dims.input) && narrow.holds(dims.width)
    }
    #[inline(always)]
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4] {
        let (start, step) = Matrices::<S>::biases(&self.0);
        let mut bias = [s.splat(0.0); 4];
        each!(a, 4, {
            if a < layout.sums {
                // SAFETY: the caller's panel exists, and starts with `sums` vectors, as `fits` has compared.
                bias[a] = unsafe { s.load(start.wrapping_add(panel * step + a * S::LANES)) };
            }
        });
        bias
    }
    #[inline(always)]
    fn row_room_len(&self, k: usize) -> usize {
        self.0.narrow.room_len(k)
    }
    #[inline(always)]
    unsafe fn ready(&self, s: S, row: *const f32, k: usize, room: *mut f32) -> *const f32 {
        let narrow = self.0.narrow;
        let (largest, plane) = (narrow.largest(k).unwrap_or_default(), plane_len(narrow.room_len(k)));
        // SAFETY: the caller's promise.
        unsafe { write_bytes(s, row, k, (largest as f32, 32768.0), plane, room) };
        room
    }
    #[inline(always)]
    fn x(self, layout: &Layout) -> ByteWeights {
        self.side(false, layout.x_gates)
    }
    #[inline(always)]
    fn h(self, layout: &Layout) -> ByteWeights {
        self.side(true, layout.h_gates)
    }
}

/// `[panel][k/4][gate][lane][4]`
#[derive(Clone, Copy)]
pub(crate) struct ByteWeights {
    codes: *const u8,
    scales: *const f32,
    /// Words of a panel.
    panel: usize,
    gates: usize,
    /// Words of a row of integers.
    room: usize,
}

impl<S: Simd> Weight<S> for ByteWeights {
    /// Not used: all sums go through `sums`.
    #[inline(always)]
    unsafe fn get(self, s: S, _panel: usize, _k: usize, _g: usize) -> S::V {
        s.splat(0.0)
    }
    #[inline(always)]
    fn skip(self, _rows: usize) -> Self {
        self
    }
    #[inline(always)]
    unsafe fn sums<const NP: usize>(
        self,
        s: S,
        acc: &mut Acc<S::V, NP>,
        map: [usize; 4],
        panel: usize,
        x: *const f32,
        k: usize,
    ) -> bool {
        let ByteWeights { codes, scales, panel: step, gates, room } = self;
        // SAFETY: the caller's promise: the weights have these panels, and `x` is a row of integers of `k`
        // elements.
        unsafe {
            let scales = |p: usize, g: usize| scales.wrapping_add((panel + p) * step + g * S::LANES);
            let mut sums = [[Two::begin(s, acc[0][0], scales(0, gates)); 4]; NP];
            each!(p, NP, {
                each!(g, 4, {
                    if g < gates {
                        sums[p][g] = Two::begin(s, acc[0][0], scales(p, gates + g));
                    }
                });
            });
            let vector = 4 * S::LANES;
            let mut w = codes.wrapping_add(panel * step * size_of::<f32>());
            let mut at = 0;
            while at < k {
                let element = <Two as Kind<S>>::element(s, x, room, at);
                each!(p, NP, {
                    each!(g, 4, {
                        if g < gates {
                            let w = w.wrapping_add(p * step * size_of::<f32>() + g * vector);
                            sums[p][g] = Two::add(s, sums[p][g], element, Two::weights(s, w));
                        }
                    });
                });
                w = w.wrapping_add(gates * vector);
                at += 4;
            }
            each!(p, NP, {
                each!(g, 4, {
                    if g < gates {
                        let scale = s.mul(s.splat(*x), s.load(scales(p, g)));
                        let sum = &mut acc[p][map[g] % 4];
                        *sum = Two::end(s, Two::total(s, sums[p][g]), *sum, scale);
                    }
                });
            });
        }
        true
    }
}
