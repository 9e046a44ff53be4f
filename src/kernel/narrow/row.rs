//! Panels of integers for a [step of one row](crate::kernel::step::single) with the equations in registers,
//! on CPUs that have a dot product of bytes.

use super::Narrow;
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
use crate::simd::{Dot, Region, Simd};

/// Panels that are arranged for the dot product of bytes of this CPU.
#[derive(Clone, Copy)]
pub(crate) struct BytePanels<'a> {
    of: NarrowPanels<'a>,
    /// Whether the elements of a row are two bytes, in two planes.
    two: bool,
    /// The largest integer of a row, of the input and of the state.
    largest: [f32; 2],
}

impl<'a> BytePanels<'a> {
    /// `None` if the panels are not arranged so, or if sums would not fit.
    #[inline(always)]
    pub(crate) fn new(of: NarrowPanels<'a>) -> Option<Self> {
        let (narrow, Dims { input, width, .. }) = (of.narrow, of.sizes.dims);
        if !narrow.has_scales() || !of.dot.is_used() {
            return None;
        }
        let largest = [narrow.largest(input)? as f32, narrow.largest(width)? as f32];
        Some(BytePanels { of, two: narrow == Narrow::W8A16, largest })
    }

    /// The weights of one side.
    #[inline(always)]
    fn side(self, hidden: bool, gates: usize) -> ByteWeights {
        let NarrowPanels { start, sizes, narrow, .. } = self.of;
        let (side, dims) = (usize::from(hidden), sizes.dims);
        ByteWeights {
            codes: start.wrapping_add(sizes.codes[side]).cast(),
            scales: start.wrapping_add(sizes.scales[side]),
            panel: sizes.panel,
            gates,
            room: narrow.room_len(if hidden { dims.width } else { dims.input }),
            two: self.two,
        }
    }
}

/// Runs a region that may use the dot product of bytes, if the CPU has it.
#[inline(always)]
pub(crate) fn with_dot<S: Simd, R: Region>(s: S, dot: Dot, region: R) -> Option<R::Output> {
    // SAFETY: a `Dot` is used only if the CPU has the dot product of its instruction set.
    (S::DOT && dot.is_used()).then(|| unsafe { s.call_dot(region) })
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
        self.of.project(s, layout, left, dims, c, room)
    }
}

impl<S: Simd> Source<S> for BytePanels<'_> {
    type W = ByteWeights;
    const SUMS: usize = <Bytes<2, true> as Kind<S>>::PLANES;
    const AHEAD: bool = false;

    #[inline(always)]
    fn call<R: Region>(self, s: S, region: R) -> R::Output {
        // SAFETY: the panels are arranged for the dot product only if the CPU has it.
        unsafe { s.call_dot(region) }
    }
    #[inline(always)]
    fn fits(&self, s: S, layout: &Layout, dims: Dims) -> bool {
        self.of.fits(s, layout, dims)
    }
    #[inline(always)]
    unsafe fn bias(self, s: S, layout: &Layout, panel: usize) -> [S::V; 4] {
        let (start, step) = Matrices::<S>::biases(&self.of);
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
        self.of.narrow.room_len(k)
    }
    #[inline(always)]
    unsafe fn ready(&self, s: S, row: *const f32, k: usize, room: *mut f32) -> *const f32 {
        let largest = self.largest[usize::from(k != self.of.sizes.dims.input)];
        // SAFETY: the caller's promise.
        unsafe {
            match self.two {
                true => {
                    let plane = plane_len(self.of.narrow.room_len(k));
                    write_bytes(s, row, k, (largest, 32768.0), plane, room);
                }
                false => write_bytes(s, row, k, (largest, 128.0), 0, room),
            }
        }
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
    /// Whether the elements of a row are two bytes.
    two: bool,
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
        // SAFETY: the caller's promise: the weights have these panels, and `x` is a row of integers of `k`
        // elements.
        unsafe {
            match self.two {
                true => self.add::<S, Bytes<2, true>, NP>(s, acc, map, panel, x, k),
                false => self.add::<S, Bytes<1, true>, NP>(s, acc, map, panel, x, k),
            }
        }
        true
    }
}

impl ByteWeights {
    /// # Safety
    /// As for [`Weight::sums`]. The row's integers are of this kind.
    #[inline(always)]
    unsafe fn add<S: Simd, K: Kind<S>, const NP: usize>(
        self,
        s: S,
        acc: &mut Acc<S::V, NP>,
        map: [usize; 4],
        panel: usize,
        x: *const f32,
        k: usize,
    ) {
        let ByteWeights { codes, scales, panel: step, gates, room, .. } = self;
        // SAFETY: the caller's promise.
        unsafe {
            let scales = |p: usize, g: usize| scales.wrapping_add((panel + p) * step + g * S::LANES);
            let mut sums = [[K::begin(s, acc[0][0], scales(0, gates)); 4]; NP];
            each!(p, NP, {
                each!(g, 4, {
                    if g < gates {
                        sums[p][g] = K::begin(s, acc[0][0], scales(p, gates + g));
                    }
                });
            });
            let vector = 4 * S::LANES;
            let mut w = codes.wrapping_add(panel * step * size_of::<f32>());
            let mut at = 0;
            while at < k {
                let element = K::element(s, x, room, at);
                each!(p, NP, {
                    each!(g, 4, {
                        if g < gates {
                            let w = w.wrapping_add(p * step * size_of::<f32>() + g * vector);
                            sums[p][g] = K::add(s, sums[p][g], element, K::weights(s, w));
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
                        *sum = K::end(s, K::total(s, sums[p][g]), *sum, scale);
                    }
                });
            });
        }
    }
}
