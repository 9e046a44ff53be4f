//! A checksum of bits, to compare results between machines.

/// The 64-bit hash of Fowler, Noll and Vo (FNV-1a).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(pub u64);

impl Sum {
    pub const fn new() -> Self {
        Sum(0xcbf2_9ce4_8422_2325)
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3);
        }
    }

    pub fn floats(&mut self, floats: &[f32]) {
        floats.iter().for_each(|x| self.bytes(&x.to_bits().to_le_bytes()));
    }
}

impl Default for Sum {
    fn default() -> Self {
        Sum::new()
    }
}
